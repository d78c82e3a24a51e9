"""LMAC-ZS: masks from a trained decoder."""

import torch

from speechbrain_lmac.explainers.base import own_prompts


class LMACZS:
    """The decoder as an explainer.

    Arguments
    ---------
    decoder : MaskDecoder
        Trained against the classifier that made the scene.
    """

    def __init__(self, decoder):
        self.decoder = decoder

    @torch.no_grad()
    def __call__(self, scene, text):
        """Clips [B] and prompts to masks [B, P, F, T] (or M in place of F).

        Nothing is kept of silence.
        """
        text = own_prompts(scene, text)
        masks = self.decoder(scene.encoding, scene.mel, text, scene.domain)
        sounds = scene.energies.flatten(1).any(1)
        return masks * sounds[:, None, None, None]
