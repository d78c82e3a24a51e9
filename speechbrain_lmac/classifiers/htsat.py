"""HTS-AT, the audio network of CLAP, with its maps in order of frequency and time.

HTS-AT (Chen et al., arXiv 2202.00874) is a Swin transformer for square images: 1024
frames of 64 bands are cut into four quarters, which are stacked into 256 x 256. So two
rows of a stage's output that touch may be the top of one quarter and the bottom of
another. Here every stage's output is unfolded, and folded again for what follows.
"""

import math

import torch.nn.functional as F

from speechbrain_lmac.classifiers.clap import FRAMES

QUARTERS = 4
IMAGE_FRAMES = 1024  # the window is stretched to these
PATCH = 4  # bands and frames of the image that make one token
STRIDES = (4, 8, 16, 32)


def fold(x):
    """Puts the four quarters of time one above the other.

    Arguments
    ---------
    x : torch.Tensor
        [B, C, F, T] in order of frequency and time.

    Returns
    -------
    torch.Tensor
        [B, C, 4 F, T / 4].

    Example
    -------
    >>> import torch
    >>> x = torch.arange(16.0).reshape(1, 1, 2, 8)
    >>> fold(x).shape, torch.equal(unfold(fold(x)), x)
    (torch.Size([1, 1, 8, 2]), True)
    """
    return x.unflatten(3, (QUARTERS, -1)).transpose(2, 3).flatten(2, 3)


def unfold(x):
    """The inverse of :func:`fold`.

    Arguments
    ---------
    x : torch.Tensor
        [B, C, 4 F, T / 4].

    Returns
    -------
    torch.Tensor
        [B, C, F, T] in order of frequency and time.
    """
    return x.unflatten(2, (QUARTERS, -1)).transpose(2, 3).flatten(3, 4)


def listen(log_mel, window, norm, patch_embed, stages, final_norm):
    """What HTS-AT hears in log-mel windows.

    Arguments
    ---------
    log_mel : torch.Tensor
        In dB [B, 1, 1001, 64].
    window : Window
        Which part of it is the clip.
    norm : callable
        Batch normalisation of bands [B, 64, 1001, 1].
    patch_embed : callable
        Images [B, 1, 256, 256] to tokens [B, 4096, C].
    stages : iterable of (list of callable, callable)
        For each stage its blocks, and what merges tokens behind it (None for the last).
    final_norm : callable
        Of the last stage's tokens.

    Returns
    -------
    torch.Tensor
        The audio embedding before its projection [B, 8 C].
    tuple of torch.Tensor
        The stages' outputs before merging, [B, C, 16, 256] to [B, 8 C, 2, 32], as far
        as they belong to the clip.
    """
    x = norm(log_mel.transpose(1, 3)).transpose(1, 3)
    size = (IMAGE_FRAMES, x.shape[-1])
    x = F.interpolate(x, size, mode="bicubic", align_corners=True)
    x = patch_embed(fold(x.transpose(2, 3)))
    maps, stride = [], PATCH * FRAMES / IMAGE_FRAMES
    for blocks, merge in stages:
        for block in blocks:
            x = block(x)
        side = math.isqrt(x.shape[1])
        image = unfold(x.transpose(1, 2).unflatten(2, (side, side)))
        own, image = window.own(image, stride)
        maps.append(own)
        x = fold(image).flatten(2).transpose(1, 2).contiguous()
        if merge is not None:
            x, stride = merge(x), 2 * stride
    return final_norm(x).mean(1), tuple(maps)
