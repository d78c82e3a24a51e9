"""Masks that explain nothing, and one that knows the truth.

Without them no table of faithfulness can be read. Where a control is to match an
explainer, that explainer's masks are ``scene.known["reference"]``; each mask is matched
on its own, clip by clip and prompt by prompt.
"""

import torch

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.explainers.base import own_prompts
from speechbrain_lmac.masking import Masking


def known(scene, name, meaning, text):
    """What the evaluation knows, checked.

    Arguments
    ---------
    scene : Scene
        B clips.
    name : str
        Key of ``scene.known``.
    meaning : str
        What lies under it, for the error.
    text : torch.Tensor
        Prompts [P, D] or [B, P, D].

    Returns
    -------
    torch.Tensor
        [B, P, F, T].

    Raises
    ------
    ConfigError
        If it is missing or of another shape.
    """
    expected = tuple(all_ones(scene, text).shape)
    given = scene.known.get(name)
    if given is None or tuple(given.shape) != expected:
        found = "missing" if given is None else f"of shape {tuple(given.shape)}"
        raise ConfigError(
            f"scene.known['{name}'] is {found}: give {meaning}, of shape {expected}"
        )
    return given


def all_ones(scene, text):
    """Masks of ones [B, P, F, T] for clips [B] and prompts.

    Arguments
    ---------
    scene : Scene
        B clips.
    text : torch.Tensor
        Prompts [P, D] or [B, P, D].

    Returns
    -------
    torch.Tensor
        A view of a single number.
    """
    energies = scene.energies
    pairs = own_prompts(scene, text).shape[:2]
    return energies.new_ones(()).expand(*pairs, *energies.shape[-2:])


def top_share(values, mean):
    """Masks of ones at the largest values, as many as give the mean.

    Arguments
    ---------
    values : torch.Tensor
        [..., F, T]; of equal ones, the first counts as larger.
    mean : torch.Tensor
        In [0, 1], [..., 1, 1].

    Returns
    -------
    torch.Tensor
        Zeros and ones of the broadcast shape.

    Example
    -------
    >>> values = torch.tensor([[0.3, 0.1], [0.4, 0.2]])
    >>> top_share(values, torch.tensor([[0.5]])).tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    """
    flat = values.flatten(-2)
    order = flat.argsort(dim=-1, descending=True, stable=True)
    rank = order.argsort(-1).unflatten(-1, values.shape[-2:])
    return (rank < (mean * flat.shape[-1]).round()).to(values.dtype)


class Reference:
    """A control that matches the mean of another explainer's masks."""

    def mean(self, scene, text):
        """Means [B, P, 1, 1] of the masks to match."""
        meaning = "the masks that the control is to match"
        return known(scene, "reference", meaning, text).mean((-2, -1), keepdim=True)


class AllOnes:
    """The clip itself: an AI above 0 for it would be an error of measurement."""

    def __call__(self, scene, text):
        """Clips [B] and prompts to masks [B, P, F, T]."""
        return all_ones(scene, text).clone()


class ConstantMask(Reference):
    """Everywhere the mean of the mask to match: a volume control."""

    def __call__(self, scene, text):
        """Clips [B] and prompts to masks [B, P, F, T]."""
        return self.mean(scene, text) * all_ones(scene, text)


class RandomMask(Reference):
    """Bins drawn by lot, as many as give the mean of the mask to match.

    Arguments
    ---------
    seed : int
        Of the lots, which are the same for all clips of a length.
    """

    def __init__(self, seed=0):
        self.seed = seed

    def __call__(self, scene, text):
        """Clips [B] and prompts to masks [B, P, F, T]."""
        draw = torch.Generator().manual_seed(self.seed)
        lots = torch.rand(scene.energies.shape[-2:], generator=draw)
        return top_share(lots.to(scene.energies), self.mean(scene, text))


class OtherClip:
    """The explainer's mask of another clip, ``scene.known["other"]``."""

    def __call__(self, scene, text):
        """Clips [B] and prompts to masks [B, P, F, T]."""
        return known(scene, "other", "the explainer's masks of other clips", text)


class LoudestBins(Reference):
    """The loudest bins, as many as give the mean of the mask to match."""

    def __call__(self, scene, text):
        """Clips [B] and prompts to masks [B, P, F, T]."""
        return top_share(scene.energies.unsqueeze(1), self.mean(scene, text))


class IdealMask:
    """The mask that leaves the prompted source, ``scene.known["sources"]``.

    ``keep(M, x) = min(s, x)`` for a source s in a clip x: with the linear law this is
    the ideal amplitude mask s / x, cut at 1. Silent bins have 0.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Says what full scale is.
    law : str
        ``log`` or ``linear``, as the masks that are measured.
    floor_db : float
        The log law's floor in dB re full scale.
    """

    def __init__(self, classifier, law="log", floor_db=-68.0):
        self.maskings = Masking.for_domains(classifier, law, floor_db)

    def __call__(self, scene, text):
        """Clips [B] and prompts to masks [B, P, F, T]."""
        sources = known(scene, "sources", "the prompted sources alone", text)
        masking = self.maskings[scene.domain]
        level = masking.compress(scene.energies).unsqueeze(1)
        mask = masking.compress(sources) / level.clamp(min=torch.finfo().tiny)
        return torch.where(level > 0, mask.clamp(max=1), 0.0)
