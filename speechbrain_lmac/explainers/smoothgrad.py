"""SmoothGrad."""

import torch

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.explainers.input_gradient import InputGradient


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
