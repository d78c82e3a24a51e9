"""From saliency maps to masks, the same way for every method that makes maps."""

from abc import ABC, abstractmethod
from dataclasses import replace

import torch

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.explainers.base import own_prompts


def to_masks(saliency, energies, scale="pair"):
    """The one place where maps of any sign and size become masks in [0, 1].

    The negative part is cut, the rest divided by a scale, and what exceeds 1 cut. A map
    without a positive part, and any map of a silent clip, gives a mask of zeros.

    Arguments
    ---------
    saliency : torch.Tensor
        Maps [B, P, F, T].
    energies : torch.Tensor
        What the masks will act on [B, F, T].
    scale : str | float
        ``pair``: each map's own maximum, as is usual; every prompt then has a bin of 1,
        whether it matches or not. ``prompts``: the largest maximum of all prompts that
        the clip is asked about at once, so that a prompt that does not match may stay
        dark; what a prompt gets then depends on the others. A number, in the units of
        the method: the same for all clips and prompts.

    Returns
    -------
    torch.Tensor
        [B, P, F, T].

    Example
    -------
    >>> maps = torch.tensor([[[[-1.0, 2.0]], [[0.0, 0.5]]]])  # two prompts, two bins
    >>> to_masks(maps, torch.ones(1, 1, 2)).tolist()
    [[[[0.0, 1.0]], [[0.0, 1.0]]]]
    >>> to_masks(maps, torch.ones(1, 1, 2), scale="prompts").tolist()
    [[[[0.0, 1.0]], [[0.0, 0.25]]]]
    """
    saliency = saliency.float().clamp(min=0)
    if scale == "pair":
        top = saliency.amax((-2, -1), keepdim=True)
    elif scale == "prompts":
        top = saliency.amax((-3, -2, -1), keepdim=True)
    else:
        top = saliency.new_full((), scale)
    masks = (saliency / top.clamp(min=torch.finfo().tiny)).clamp(max=1)
    audible = energies.amax((-2, -1)) > 0
    return masks * audible[:, None, None, None]


class SaliencyExplainer(ABC):
    """An explainer that makes maps of the scaled similarity of clip and prompt.

    What is explained is ``temperature * a @ t``, one prompt at a time. The classifier
    is left as it was found: no hooks, no gradient but that of the input.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    scale : str | float
        How maps become masks, see :func:`to_masks`.
    pairs_per_pass : int
        Spectrograms that go through the encoder at once; changes memory.
    """

    def __init__(self, classifier, scale="pair", pairs_per_pass=64):
        number = isinstance(scale, int | float) and not isinstance(scale, bool)
        if scale not in ("pair", "prompts") and not (number and scale > 0):
            raise ConfigError(
                f"scale of masks '{scale}' is unknown: give 'pair', 'prompts' or a "
                "number above 0"
            )
        self.classifier, self.scale = classifier, scale
        self.pairs_per_pass = pairs_per_pass

    @abstractmethod
    def saliency(self, scene, text):
        """Clips [B] and each clip's prompts [B, P, D] to maps [B, P, F, T]."""

    def __call__(self, scene, text):
        """Clips [B] and prompts to masks [B, P, F, T] (or M in place of F)."""
        # the caller may have turned gradients off in either way
        with torch.inference_mode(False), torch.enable_grad():
            own = own_prompts(scene, text.detach()).clone()
            copy = {"energies": scene.energies.clone(), "mel": scene.mel.clone()}
            saliency = self.saliency(replace(scene, **copy), own).detach()
        return to_masks(saliency, scene.energies, self.scale)
