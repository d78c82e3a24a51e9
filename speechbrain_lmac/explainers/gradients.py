"""Gradients at the input, by captum: SmoothGrad and Integrated Gradients.

The input is the clip's spectrogram on the scale on which a mask is a factor
(``Masking.compress``), which for the log law is log1p of the energies, as in L-MAC's
code, and for the linear law the energies themselves. It is divided by the clip's
maximum, so that noise has the same meaning for a loud and for a quiet clip.
"""

from abc import abstractmethod

import torch

from speechbrain_lmac.errors import ConfigError
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
            # noise may lead below silence
            energies = masking.expand(full * levels.clamp(min=0))
            embedding = self.classifier.encode(energies, domain).embedding
            return self.classifier.temperature * embedding @ prompt

        return scaled


class SmoothGrad(InputGradient):
    """SmoothGrad: the gradient's mean over noisy copies of the clip, without sign.

    Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017: Eq. 1, n = 50,
    noise of 10 to 20 % of the input's range, and the absolute value at the end. Each
    clip and prompt has the same noise, so that they can be compared and results do not
    depend on the batch.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    samples : int
        Noisy copies.
    noise : float
        Standard deviation as a share of the clip's largest level.
    seed : int
        Of the noise, the same on every device; the global random state stays as it is.
    law : str
        ``log`` or ``linear``: the scale of the input.
    floor_db : float
        The log law's floor in dB re full scale.
    scale : str | float
        See :func:`~speechbrain_lmac.explainers.saliency.to_masks`.
    pairs_per_pass : int
        Copies that go through the encoder at once; changes memory, not results.
    """

    def __init__(
        self,
        classifier,
        samples=50,
        noise=0.15,
        seed=0,
        law="log",
        floor_db=-68.0,
        scale="pair",
        pairs_per_pass=64,
    ):
        super().__init__(classifier, law, floor_db, scale, pairs_per_pass)
        if type(samples) is not int or samples < 1:
            raise ConfigError(f"{samples} noisy copies: give at least 1")
        self.samples, self.noise, self.seed = samples, noise, seed

    def attribute(self, similarity, levels):
        """A function of levels [N, F, T] and a clip's levels [1, F, T] to [1, F, T]."""
        from captum.attr import Saliency

        # not captum's NoiseTunnel: its noise depends on how many copies make a pass
        draw, gradient = torch.Generator().manual_seed(self.seed), Saliency(similarity)
        total = torch.zeros_like(levels)
        for first in range(0, self.samples, self.pairs_per_pass):
            count = min(self.pairs_per_pass, self.samples - first)
            noise = torch.stack(
                [torch.randn(levels.shape[1:], generator=draw) for _ in range(count)]
            )
            noisy = (levels + self.noise * noise.to(levels)).requires_grad_()
            total += gradient.attribute(noisy, abs=False).sum(0, keepdim=True)
        return (total / self.samples).abs()


class IntegratedGradients(InputGradient):
    """Integrated Gradients along the straight line from silence to the clip.

    Sundararajan et al., "Axiomatic attribution for deep networks", ICML 2017, Eq. 1; 20
    to 300 steps there, 50 by default in captum, whose Gauss-Legendre rule this is. The
    attributions of a pair sum to its scaled similarity less that of silence. The line
    is that of constant masks from 0 to 1. Only what speaks for the prompt becomes a
    mask: the positive part (ours).

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    steps : int
        Points on the line.
    law : str
        ``log`` or ``linear``: the scale of the input.
    floor_db : float
        The log law's floor in dB re full scale.
    scale : str | float
        See :func:`~speechbrain_lmac.explainers.saliency.to_masks`.
    pairs_per_pass : int
        Points that go through the encoder at once; changes memory, not results.
    """

    def __init__(
        self,
        classifier,
        steps=50,
        law="log",
        floor_db=-68.0,
        scale="pair",
        pairs_per_pass=64,
    ):
        super().__init__(classifier, law, floor_db, scale, pairs_per_pass)
        if type(steps) is not int or steps < 1:
            raise ConfigError(f"{steps} steps of integrated gradients: give at least 1")
        self.steps = steps

    def attribute(self, similarity, levels):
        """A function of levels [N, F, T] and a clip's levels [1, F, T] to [1, F, T]."""
        from captum.attr import IntegratedGradients as Captum

        return Captum(similarity).attribute(
            levels,
            baselines=0.0,
            n_steps=self.steps,
            internal_batch_size=self.pairs_per_pass,
        )
