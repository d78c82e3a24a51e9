"""How alike two maps are, where a map that vanished is not like what it was."""

import torch

VANISHED = 0.01  # of the other map's mean


def structural_similarity(before, after):
    """SSIM of maps as it is defined.

    Z. Wang et al., "Image quality assessment: from error visibility to structural
    similarity", 2004: Gaussian window of 11 x 11, range 1.

    Arguments
    ---------
    before : torch.Tensor
        Maps in [0, 1], [N, F, T], F and T above 5.
    after : torch.Tensor
        Maps of the same shape.

    Returns
    -------
    torch.Tensor
        [N], 1 for equal maps.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    return structural_similarity_index_measure(
        after.unsqueeze(1), before.unsqueeze(1), data_range=1.0, reduction="none"
    )


def vanished(before, after):
    """Where one of two maps has vanished, or appeared from nothing.

    Arguments
    ---------
    before : torch.Tensor
        Maps in [0, 1], [N, F, T].
    after : torch.Tensor
        Maps of the same shape.

    Returns
    -------
    torch.Tensor
        [N], true where one has less than ``VANISHED`` of the other's mean; two empty
        maps are equal.
    """
    means = torch.stack([before.mean((1, 2)), after.mean((1, 2))])
    return means.amin(0) < VANISHED * means.amax(0)


def map_similarity(before, after):
    """Structural similarity of maps, where a map that vanished has changed.

    SSIM takes two dark regions for alike, so it finds an empty map similar to a sparse
    one, although nothing of it is left.

    Arguments
    ---------
    before : torch.Tensor
        Maps in [0, 1], [N, F, T].
    after : torch.Tensor
        Maps of the same shape.

    Returns
    -------
    torch.Tensor
        SSIM [N]; 0 where a map :func:`vanished`.

    Example
    -------
    >>> before = torch.zeros(1, 32, 32)
    >>> before[:, 4:6, 4:6] = 1
    >>> map_similarity(before, before).item(), map_similarity(before, 0 * before).item()
    (1.0, 0.0)
    >>> round(structural_similarity(before, 0 * before).item(), 2)
    0.91
    """
    similarity = structural_similarity(before, after)
    return similarity.masked_fill(vanished(before, after), 0.0)
