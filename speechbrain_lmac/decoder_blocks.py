"""What the decoder is built of: text meets maps, and maps become finer."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def fit(x, size):
    """Cut or stretch maps [N, C, F, T] to exactly ``size``.

    A transposed convolution of stride 2 gives at most one row or column more than an
    odd grid has: that one is cut. Anything else is another front end's frame rate and
    is interpolated.

    Arguments
    ---------
    x : torch.Tensor
        Maps [N, C, F', T'].
    size : sequence of int
        F and T.

    Returns
    -------
    torch.Tensor
        Maps [N, C, F, T].
    """
    if all(
        0 <= have - want <= 1 for have, want in zip(x.shape[-2:], size, strict=True)
    ):
        return x[..., : size[0], : size[1]]
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


class Agreement(nn.Module):
    """One stage's map and the prompt, merged.

    Arguments
    ---------
    channels : int
        Channels of the classifier's map.
    embedding_dim : int
        Size of the text vector.
    width : int
        Channels of the output.
    groups : int
        Agreement channels; 0 leaves the stage blind to the prompt.
    depth : int
        Size of the space in which a group compares.
    """

    def __init__(self, channels, embedding_dim, width, groups, depth=16):
        super().__init__()
        self.groups, self.depth = groups, depth
        self.image = nn.Conv2d(channels, width, 1)
        if groups:
            self.key = nn.Conv2d(channels, groups * depth, 1)
            self.query = nn.Linear(embedding_dim, groups * depth)
            self.merge = nn.Conv2d(groups + 1, width, 1, bias=False)

    def forward(self, x, text, similarity):
        """Map [B, C, F, T], text [B, K, D], similarity [B, K] to [B K, width, F, T]."""
        pairs = text.shape[1]
        image = self.image(x).unsqueeze(1).expand(-1, pairs, -1, -1, -1)
        if not self.groups:
            return F.relu(image.flatten(0, 1))
        key = self.key(x).unflatten(1, (self.groups, self.depth))
        query = self.query(text).unflatten(2, (self.groups, self.depth))
        agree = torch.einsum("bgdft,bkgd->bkgft", key, query) / self.depth**0.5
        level = similarity[:, :, None, None, None].to(agree.dtype)
        level = level.expand(-1, -1, 1, *agree.shape[-2:])
        merged = self.merge(torch.cat([agree, level], 2).flatten(0, 1))
        return F.relu(image.flatten(0, 1) + merged)


class CrossAttention(nn.Module):
    """Image tokens query several tokens made of the text vector.

    Arguments
    ---------
    channels : int
        Channels of the classifier's map, which asks.
    embedding_dim : int
        Size of the text vector.
    width : int
        Channels of the answer.
    tokens : int
        Text tokens.
    """

    def __init__(self, channels, embedding_dim, width, tokens=8):
        super().__init__()
        self.tokens = tokens
        self.split = nn.Linear(embedding_dim, tokens * width)
        self.query = nn.Conv2d(channels, width, 1)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x, text):
        """Map [B, C, F, T] and text [B, K, D] to answers [B * K, width, F, T]."""
        pairs = text.shape[1]
        tokens = self.split(text).unflatten(2, (self.tokens, -1)).flatten(0, 1)
        query = self.query(x).repeat_interleave(pairs, 0)
        answer = F.scaled_dot_product_attention(
            query.flatten(2).transpose(1, 2), self.key(tokens), self.value(tokens)
        )
        return answer.transpose(1, 2).unflatten(2, x.shape[-2:])


class UpBlock(nn.Module):
    """One step to the finer grid: transposed convolution, skip, 3x3 convolution.

    Arguments
    ---------
    channels : int
        Channels of the input.
    out : int
        Channels of the output and of the skip.
    norm : bool
        Group normalisation; the finest grid does without, where it costs most.
    """

    def __init__(self, channels, out, norm=True):
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, out, 4, 2, 1)
        self.conv = nn.Conv2d(out, out, 3, 1, 1)
        self.norm = nn.GroupNorm(8, out) if norm else nn.Identity()

    def forward(self, x, size, skip=None):
        """Maps [N, C, f, t] to [N, out, *size]; ``skip`` has the output's shape."""
        x = fit(self.up(x), size)
        x = F.relu(x if skip is None else x + skip)
        return F.relu(self.norm(self.conv(x)))
