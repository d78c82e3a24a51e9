"""Whether the mask of a mixture lies on the source that the prompt names.

What the two sources are alone is known: ``source`` is the prompted one, ``background``
the other. Energies are squared STFT magnitudes, or mel energies.
"""

import torch


def source_share(mask, source, background):
    """Share of the energy under each mask that is the prompted source's.

    Arguments
    ---------
    mask : torch.Tensor
        In [0, 1], [B, F, T].
    source : torch.Tensor
        Energies [F, T].
    background : torch.Tensor
        Energies [F, T].

    Returns
    -------
    torch.Tensor
        [B] in [0, 1]; for a mask of ones the source's share of all energy, for a mask
        of zeros 0.

    Example
    -------
    >>> mask = torch.tensor([[[1.0, 0.5]]])
    >>> source, background = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    >>> source_share(mask, source, background).item()
    0.75
    """
    right = (mask * source).sum((-2, -1)).double()
    wrong = (mask * background).sum((-2, -1)).double()
    return right / (right + wrong).clamp(min=1e-300)


def ideal_ratio_mask(source, background):
    """The ideal ratio mask ``sqrt(S / (S + N))`` of energies S and N.

    Wang, Narayanan and Wang, "On training targets for supervised speech separation",
    IEEE/ACM TASLP 2014, Eq. 4 with exponent 0.5.

    Arguments
    ---------
    source : torch.Tensor
        Energies [F, T].
    background : torch.Tensor
        Energies [F, T].

    Returns
    -------
    torch.Tensor
        [F, T]; 0 where both are silent.

    Example
    -------
    >>> source, background = torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 0.0]])
    >>> ideal_ratio_mask(source, background).tolist()
    [[0.5, 0.0]]
    """
    total = (source + background).clamp(min=torch.finfo(source.dtype).tiny)
    return (source / total).sqrt()


def soft_iou(mask, other):
    """Intersection over union of masks with values in [0, 1].

    ``sum min(M, R) / sum max(M, R)``, the usual one where both are zeros and ones.

    Arguments
    ---------
    mask : torch.Tensor
        [B, F, T].
    other : torch.Tensor
        [F, T].

    Returns
    -------
    torch.Tensor
        [B] in [0, 1]; 0 for two masks of zeros.

    Example
    -------
    >>> soft_iou(torch.tensor([[[1.0, 1.0, 0.0]]]), torch.tensor([[0.0, 1.0, 1.0]]))
    tensor([0.3333], dtype=torch.float64)
    """
    union = torch.maximum(mask, other).sum((-2, -1)).double()
    common = torch.minimum(mask, other).sum((-2, -1)).double()
    return common / union.clamp(min=1e-300)


def si_sdr_improvement(estimate, source, mixture):
    """How much nearer to the source an explanation is than the mixture.

    The scale-invariant signal-to-distortion ratio (Le Roux et al., "SDR - half-baked or
    well done?", ICASSP 2019) of the explanation less that of the mixture.

    Arguments
    ---------
    estimate : torch.Tensor
        Explanations [B, N]; silence counts as 0 dB.
    source : torch.Tensor
        [N], not silent.
    mixture : torch.Tensor
        [N].

    Returns
    -------
    torch.Tensor
        In dB [B].
    """
    from torchmetrics.functional.audio import (
        scale_invariant_signal_distortion_ratio as si_sdr,
    )

    before = si_sdr(mixture, source)
    return si_sdr(estimate, source.expand_as(estimate)) - before
