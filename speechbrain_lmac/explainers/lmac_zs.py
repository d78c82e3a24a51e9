"""LMAC-ZS: masks from a trained decoder."""

import torch


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
        """Clips [B] and prompts [P, D] to masks [B, P, F, T] (or M in place of F)."""
        pairs = text.expand(len(scene.mel), *text.shape)
        return self.decoder(scene.encoding, scene.mel, pairs, scene.domain)
