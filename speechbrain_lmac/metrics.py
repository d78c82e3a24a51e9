"""Faithfulness metrics, one value a clip; averages are taken by whoever reports.

Throughout, c is the class that is explained, by default the one predicted for the whole
clip, and probabilities are zero-shot probabilities over the same prompts: ``p`` of the
whole clip, ``kept`` of the masked sound, ``removed`` of its complement, each [B, C].

``METRICS`` declares the range and the direction of each of the paper's metrics,
``FURTHER`` of those that are measured beside them.
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
FURTHER = {
    "AD (double softmax)": Metric(0, 100, "lower"),
    "deletion": Metric(0, 1, "lower"),  # see curves.py
    "insertion": Metric(0, 1, "higher"),
    "share": Metric(0, 1, "higher"),  # see localisation.py
    "IoU": Metric(0, 1, "higher"),
    "SI-SDRi": Metric(float("-inf"), float("inf"), "higher"),
}


def faithfulness(p, kept, removed, explained=None, tolerance=TOLERANCE):
    """AI, AD, AG, FF and FidIn of every clip.

    Arguments
    ---------
    p : torch.Tensor
        Probabilities of the whole clip [B, C].
    kept : torch.Tensor
        Probabilities of the masked sound [B, C].
    removed : torch.Tensor
        Probabilities of what the mask leaves [B, C].
    explained : torch.Tensor
        Numbers [B] of the classes c; None takes those predicted for the whole clips.
    tolerance : float
        What a probability must grow by to have grown.

    Returns
    -------
    dict of str to torch.Tensor
        Each [B]. ``AI`` is 100 where the class became more likely, ``AD`` and ``AG``
        the relative loss and gain in per cent (AD is 0 where p is 0, AG where AI is),
        ``FF`` what removal costs, ``FidIn`` 1 where the masked sound is taken for the
        class.

    Example
    -------
    >>> p = torch.tensor([[0.8, 0.2]])
    >>> values = faithfulness(p, torch.tensor([[0.4, 0.6]]), torch.tensor([[0.1, 0.9]]))
    >>> {name: round(v.item(), 3) for name, v in values.items()}
    {'AI': 0.0, 'AD': 50.0, 'AG': 0.0, 'FF': 0.7, 'FidIn': 0.0}
    """
    c = p.argmax(1) if explained is None else explained
    before, after, without = (
        x.gather(1, c.unsqueeze(1)).squeeze(1) for x in (p, kept, removed)
    )
    grown = after > before + tolerance  # so p is less than 1
    return {
        "AI": 100.0 * grown,
        "AD": _drop(before, after),
        "AG": 100.0 * torch.where(grown, (after - before) / (1 - before), 0.0),
        "FF": before - without,
        "FidIn": (kept.argmax(1) == c).float(),
    }


def double_softmax_drop(p, kept, explained=None):
    """AD of probabilities that went through a softmax once more, like logits.

    It is what SpeechBrain's code of L-MAC computes, and what published figures have the
    range of (at most about 54 with 50 classes); for comparison with those alone.

    Arguments
    ---------
    p : torch.Tensor
        Probabilities of the whole clip [B, C].
    kept : torch.Tensor
        Probabilities of the masked sound [B, C].
    explained : torch.Tensor
        Numbers [B] of the classes c; None takes those predicted for the whole clips.

    Returns
    -------
    torch.Tensor
        [B], in per cent.

    Example
    -------
    >>> p = torch.tensor([[1.0, 0.0]])
    >>> round(double_softmax_drop(p, torch.tensor([[0.0, 1.0]])).item(), 2)
    63.21
    """
    c = (p.argmax(1) if explained is None else explained).unsqueeze(1)
    before, after = (x.softmax(1).gather(1, c).squeeze(1) for x in (p, kept))
    return _drop(before, after)


def _drop(before, after):
    """Relative loss in per cent; nothing cannot become less."""
    return 100.0 * (before - after).clamp(min=0) / before.clamp(min=1e-30)


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
