"""Faithfulness metrics, one value a clip; averages are taken by whoever reports.

Throughout, c is the class predicted for the whole clip, and probabilities are
zero-shot probabilities over the same prompts: ``p`` of the whole clip, ``kept`` of the
masked sound, ``removed`` of its complement, each [B, C].

``METRICS`` declares the range and the direction of each.
"""

from typing import NamedTuple

import torch

# The float32 round trip expm1(log1p(x)) changes a probability by up to about 1e-5: an
# identity mask must not count as an increase.
TOLERANCE = 1e-4


class Metric(NamedTuple):
    """Range and direction of a metric."""

    low: float
    high: float
    better: str  # "higher", "lower", or "" where it describes and does not rank


METRICS = {
    "AI": Metric(0, 100, "higher"),
    "AD": Metric(0, 100, "lower"),
    "AG": Metric(0, 100, "higher"),
    "FF": Metric(-1, 1, "higher"),
    "FidIn": Metric(0, 1, "higher"),
    "SPS": Metric(0, 1, "higher"),
    "COMP": Metric(0, float("inf"), "lower"),
    "MM": Metric(0, 1, ""),
}


def faithfulness(p, kept, removed):
    """AI, AD, AG, FF and FidIn of every clip.

    Arguments
    ---------
    p : torch.Tensor
        Probabilities of the whole clip [B, C].
    kept : torch.Tensor
        Probabilities of the masked sound [B, C].
    removed : torch.Tensor
        Probabilities of what the mask leaves [B, C].

    Returns
    -------
    dict of str to torch.Tensor
        Each [B]. ``AI`` is 100 where the class became more likely (by more than
        ``TOLERANCE``), ``AD`` and ``AG`` the relative loss and gain in per cent (AG is
        0 where p is 1), ``FF`` what removal costs, ``FidIn`` 1 where the prediction
        stays.

    Example
    -------
    >>> p = torch.tensor([[0.8, 0.2]])
    >>> values = faithfulness(p, torch.tensor([[0.4, 0.6]]), torch.tensor([[0.1, 0.9]]))
    >>> {name: round(v.item(), 3) for name, v in values.items()}
    {'AI': 0.0, 'AD': 50.0, 'AG': 0.0, 'FF': 0.7, 'FidIn': 0.0}
    """
    c = p.argmax(1, keepdim=True)
    before, after, without = (x.gather(1, c).squeeze(1) for x in (p, kept, removed))
    room = 1 - before
    gain = (after - before).clamp(min=0) / room.clamp(min=1e-12)
    return {
        "AI": 100.0 * (after > before + TOLERANCE),
        "AD": 100.0 * (before - after).clamp(min=0) / before,
        "AG": 100.0 * torch.where(room > 0, gain, 0.0),
        "FF": before - without,
        "FidIn": (kept.argmax(1) == c.squeeze(1)).float(),
    }


def sparseness(mask):
    """SPS: the Gini index of each mask.

    Arguments
    ---------
    mask : torch.Tensor
        [B, F, T], non-negative.

    Returns
    -------
    torch.Tensor
        [B]; 0 for a mask of equal values, also of zeros; towards 1 for one lone bin.

    Example
    -------
    >>> sparseness(torch.tensor([[[0.0, 0.0, 0.0, 1.0]]])).item()
    0.75
    """
    values = mask.flatten(1).double().sort(1).values
    count = values.shape[1]
    rank = torch.arange(1, count + 1, device=mask.device, dtype=values.dtype)
    total = values.sum(1)
    weighted = ((2 * rank - count - 1) * values).sum(1)
    return torch.where(total > 0, weighted / (count * total.clamp(min=1e-300)), 0.0)


def complexity(mask):
    """COMP: entropy in nats of each mask as a distribution.

    Arguments
    ---------
    mask : torch.Tensor
        [B, F, T], non-negative.

    Returns
    -------
    torch.Tensor
        [B]; 0 for one lone bin and for a mask of zeros, ``log(F T)`` for equal values.

    Example
    -------
    >>> round(complexity(torch.ones(1, 2, 2)).item(), 4)
    1.3863
    """
    values = mask.flatten(1).double()
    share = values / values.sum(1, keepdim=True).clamp(min=1e-300)
    return torch.special.entr(share).sum(1)


def mask_shape(mask):
    """SPS, COMP and MM of every mask.

    Arguments
    ---------
    mask : torch.Tensor
        [B, F, T] in [0, 1].

    Returns
    -------
    dict of str to torch.Tensor
        Each [B].
    """
    return {
        "SPS": sparseness(mask),
        "COMP": complexity(mask),
        "MM": mask.mean((-2, -1)),
    }
