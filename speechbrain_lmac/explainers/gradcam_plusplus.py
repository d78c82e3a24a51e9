"""Grad-CAM++."""

from speechbrain_lmac.explainers.cam import GradientWeighted


class GradCAMPlusPlus(GradientWeighted):
    """Grad-CAM++: positive gradients, weighted by how much of the map they explain.

    ``w_k = sum_ij alpha_k,ij ReLU(g_k,ij)`` with ``g = dS/dA`` and ``alpha = g^2 /
    (2 g^2 + sum_ab A_k,ab g^3) = 1 / (2 + g sum_ab A_k,ab)``. Chattopadhay et al.,
    "Grad-CAM++: Generalized gradient-based visual explanations for deep convolutional
    networks", WACV 2018, Eq. 5 and 19: the closed form for ``Y = exp(S)``. Two things
    are ours: the factor ``exp(S)`` of all weights of a prompt is left out, and only the
    positive part of A counts in the sum (a map behind a ReLU has no other), since for
    maps of both signs the denominator would have zeros. Arguments are those of
    :class:`~speechbrain_lmac.explainers.cam.CAM`.
    """

    def weights(self, maps, gradients):
        """Maps [B, C, F, T] and gradients [B, P, C, F, T] to weights [B, P, C]."""
        total = maps.clamp(min=0).sum((-2, -1))[:, None, :, None, None]
        positive = gradients.clamp(min=0)
        return (positive / (2 + positive * total)).sum((-2, -1))
