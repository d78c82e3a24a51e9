"""Deletion and insertion: how fast a class goes and comes with a mask's best bins.

Petsiuk, Das and Saenko, "RISE: Randomized input sampling for explanation of black-box
models", BMVC 2018. Bins are taken in the order of the mask; what is deleted is silent.
"""

import torch


def top_bins(mask, fractions, seed=0):
    """Masks of the best bins of a mask.

    Arguments
    ---------
    mask : torch.Tensor
        [F, T].
    fractions : sequence of float
        Shares of the bins, in [0, 1].
    seed : int
        Bins of equal value are taken in a random order, the same for all masks of a
        size: any order of the grid would favour low frequencies or early frames.

    Returns
    -------
    torch.Tensor
        Zeros and ones [K, F, T].

    Example
    -------
    >>> top_bins(torch.tensor([[0.1, 0.9], [0.5, 0.2]]), [0.25, 0.5]).tolist()
    [[[0.0, 1.0], [0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]]
    """
    flat = mask.flatten()
    draw = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(len(flat), generator=draw).to(mask.device)
    order = shuffled[flat[shuffled].argsort(descending=True, stable=True)]
    tops = mask.new_zeros(len(fractions), len(flat))
    for top, fraction in zip(tops, fractions, strict=True):
        top[order[: round(fraction * len(flat))]] = 1
    return tops.unflatten(1, mask.shape)


def area(fractions, values):
    """Area under a curve by the trapezoid rule.

    Arguments
    ---------
    fractions : sequence of float
        Rising from 0 to 1 [K].
    values : torch.Tensor
        [..., K].

    Returns
    -------
    torch.Tensor
        [...]. Of the deletion curve lower is better, of the insertion curve higher.

    Example
    -------
    >>> area([0.0, 0.5, 1.0], torch.tensor([1.0, 0.5, 0.0])).item()
    0.5
    """
    return torch.trapezoid(values, torch.as_tensor(fractions).to(values))
