"""Grad-CAM."""

from speechbrain_lmac.explainers.cam import GradientWeighted


class GradCAM(GradientWeighted):
    """Grad-CAM: a channel weighs as much as its mean gradient.

    ``w_k = mean_ij dS/dA_k,ij``, the map is ``ReLU(sum_k w_k A_k)``. Selvaraju et al.,
    "Grad-CAM: Visual explanations from deep networks via gradient-based localization",
    ICCV 2017, Eq. 1 and 2. Arguments are those of
    :class:`~speechbrain_lmac.explainers.cam.CAM`.

    Example
    -------
    >>> import torch
    >>> from speechbrain_lmac.explainers.base import hear
    >>> from speechbrain_lmac.testing import random_classifier
    >>> classifier = random_classifier()
    >>> scene = hear(classifier, classifier.stft(torch.randn(2, 16000)).abs())
    >>> text = classifier.embed_text(["rain", "wind", "a dog barking"])
    >>> GradCAM(classifier)(scene, text).shape
    torch.Size([2, 3, 513, 51])
    """

    def weights(self, maps, gradients):
        """Maps [B, C, F, T] and gradients [B, P, C, F, T] to weights [B, P, C]."""
        return gradients.mean((-2, -1))
