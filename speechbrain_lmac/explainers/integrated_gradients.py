"""Integrated Gradients."""

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.explainers.input_gradient import InputGradient


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
