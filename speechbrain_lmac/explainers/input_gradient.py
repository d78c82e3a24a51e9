"""Gradients at the input, by captum: what all of them share.

The input is the clip's spectrogram on the scale on which a mask is a factor
(``Masking.compress``), which for the log law is log1p of the energies, as in L-MAC's
code, and for the linear law the energies themselves. It is divided by the clip's
maximum, so that noise has the same meaning for a loud and for a quiet clip.
"""

from abc import abstractmethod

import torch

from speechbrain_lmac.explainers.saliency import SaliencyExplainer
from speechbrain_lmac.masking import Masking


class InputGradient(SaliencyExplainer):
    """Attributions by captum, one clip and prompt at a time.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    law : str
        ``log`` or ``linear``: the scale of the input.
    floor_db : float
        The log law's floor in dB re full scale.
    scale : str | float
        See :func:`~speechbrain_lmac.explainers.saliency.to_masks`.
    pairs_per_pass : int
        Spectrograms that go through the encoder at once.
    """

    def __init__(
        self,
        classifier,
        law="log",
        floor_db=-68.0,
        scale="pair",
        pairs_per_pass=64,
    ):
        super().__init__(classifier, scale, pairs_per_pass)
        self.maskings = Masking.for_domains(classifier, law, floor_db)

    @abstractmethod
    def attribute(self, similarity, levels):
        """A function of levels [N, F, T] and a clip's levels [1, F, T] to [1, F, T]."""

    def saliency(self, scene, text):
        """Clips [B] and each clip's prompts [B, P, D] to maps [B, P, F, T]."""
        levels = self.maskings[scene.domain].compress(scene.energies)
        top = levels.amax((-2, -1), keepdim=True).clamp(min=torch.finfo().tiny)
        pairs = [
            self.attribute(self.similarity(scene.domain, full, prompt), x / full)
            for x, full, own in zip(levels.split(1), top, text, strict=True)
            for prompt in own
        ]
        return torch.cat(pairs).unflatten(0, text.shape[:2])

    def similarity(self, domain, full, prompt):
        """The function that is explained.

        Arguments
        ---------
        domain : str
            Of the spectrograms.
        full : torch.Tensor
            The clip's largest level [1, 1].
        prompt : torch.Tensor
            Unit vector [D].

        Returns
        -------
        callable
            From levels [N, F, T] as shares of ``full`` to scaled similarities [N].
        """
        masking = self.maskings[domain]

        def scaled(levels):
            """Similarities to the prompt, times the temperature."""
            # noise may lead below silence
            energies = masking.expand(full * levels.clamp(min=0))
            embedding = self.classifier.encode(energies, domain).embedding
            return self.classifier.temperature * embedding @ prompt

        return scaled
