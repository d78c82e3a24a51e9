"""What the audio tower hears while it learns: levels, bands, spans and masks."""

import torch
import torch.nn.functional as F

from speechbrain_lmac.masking import Masking


def _levels(count, low_db, high_db):
    return 10 ** (torch.empty(count).uniform_(low_db, high_db) / 20)


def ideal_ratio(first, second):
    """Ideal ratio mask of the first of two magnitudes, sharpened at random."""
    power = torch.empty(len(first), 1, 1).uniform_(1.0, 2.0)
    a, b = (first + 1e-4) ** power, (second + 1e-4) ** power
    return a / (a + b)


def smooth_masks(shape):
    """Random smooth masks of a spectrogram's shape [B, F, T], mostly near 0 or 1."""
    coarse = torch.randn(shape[0], 1, 6, 8)
    mask = F.interpolate(coarse, shape[1:], mode="bilinear")[:, 0]
    bias = torch.empty(shape[0], 1, 1).uniform_(-0.3, 0.7)
    return torch.sigmoid(8 * (mask + bias))


def lower_bands(magnitude, share, axis):
    """Lower a band (axis 1) or span of time (axis 2) by 0 to 100 dB, in place."""
    size = magnitude.shape[axis]
    for row in magnitude:
        if torch.rand(()) < share:
            width = int(torch.randint(size // 50 + 1, int(size * 0.4), ()))
            start = int(torch.randint(size - width, ()))
            row.narrow(axis - 1, start, width).mul_(_levels(1, -100, 0))


def augment(stft, sources, paired, hparams):
    """Magnitudes to hear, and what is true of them.

    Arguments
    ---------
    stft : STFT
        The classifier's.
    sources : torch.Tensor
        [B, 2, N], the second silent where a scene is one recording.
    paired : torch.Tensor
        Whether a scene is a mixture [B].
    hparams : dict
        Shares as in clap_mini.yaml.

    Returns
    -------
    magnitude : torch.Tensor
        [B, F, T].
    alone : torch.Tensor
        Mixtures of which a mask left only the first source [B].
    silent : torch.Tensor
        Scenes turned down to nothing [B].
    foreign : torch.Tensor
        Scenes under a mask, for which the teacher's targets do not hold [B].
    """
    count = len(sources)
    gain = _levels(count, -30, 0)
    silent = torch.rand(count) < hparams["silence_share"]
    gain = torch.where(silent, _levels(count, -140, -85), gain)
    sources = sources * gain[:, None, None]
    magnitude = stft(sources.sum(1)).abs()
    masking = Masking(stft.full_scale)

    alone = paired & (torch.rand(count) < hparams["ideal_mask_share"])
    if alone.any():
        ideal = ideal_ratio(*stft(sources[alone]).abs().unbind(1))
        magnitude[alone] = masking.keep(ideal, magnitude[alone])
    soft = torch.rand(count) < hparams["soft_mask_share"]
    if soft.any():
        mask = smooth_masks(magnitude[soft].shape)
        magnitude[soft] = masking.keep(mask, magnitude[soft])
    for axis in (1, 2):
        lower_bands(magnitude, hparams["band_share"], axis)
    return magnitude, alone, silent, alone | soft | silent
