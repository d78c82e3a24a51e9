"""Class activation maps: what all of them share."""

from abc import abstractmethod
from functools import partial

import torch
import torch.nn.functional as F

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.explainers.saliency import SaliencyExplainer
from speechbrain_lmac.spectrogram import band_interpolation


class CAM(SaliencyExplainer):
    """A weighted sum of one stage's channels, carried to the grid of the mask.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    stage : int
        Which of the classifier's four maps; -1 is the last, as in all the papers.
    scale : str | float
        See :func:`~speechbrain_lmac.explainers.saliency.to_masks`.
    pairs_per_pass : int
        Spectrograms that go through the encoder at once; changes memory, not results.
    """

    def __init__(self, classifier, stage=-1, scale="pair", pairs_per_pass=64):
        super().__init__(classifier, scale, pairs_per_pass)
        stages = len(classifier.map_channels)
        if type(stage) is not int or not -stages <= stage < stages:
            raise ConfigError(f"stage {stage} is none of {stages}: -1 is the last")
        self.stage = stage
        bands = band_interpolation(classifier.mel_filters.detach().cpu())
        self.bands = bands.to(classifier.device)

    def up(self, maps, scene):
        """Maps [N, C, F', T'] to the mel grid of the scene, [N, C, M, T]."""
        size = scene.mel.shape[-2:]
        return F.interpolate(maps.float(), size, mode="bilinear", align_corners=False)

    def carry(self, maps, scene):
        """Maps on the mel grid, of which M and T are the last axes, to the mask's."""
        if scene.domain == "mel":
            return maps
        return self.bands @ maps

    def combine(self, weights, maps, scene):
        """``ReLU(sum_k w_k A_k)`` on the grid of the mask.

        Arguments
        ---------
        weights : torch.Tensor
            Of every channel for every prompt [B, P, C].
        maps : torch.Tensor
            Channels [B, C, F', T'].
        scene : Scene
            The clips.

        Returns
        -------
        torch.Tensor
            [B, P, F, T].
        """
        coarse = torch.einsum("bpc,bcft->bpft", weights, maps.float()).clamp(min=0)
        return self.carry(self.up(coarse, scene), scene)

    def gradients(self, scene, text):
        """The chosen maps, and the gradient of every prompt's similarity there.

        The scene remembers those of one pass, for other methods and the other domain;
        those of several would be too much to hold.

        Arguments
        ---------
        scene : Scene
            Clips [B].
        text : torch.Tensor
            Unit vectors [B, P, D].

        Yields
        ------
        tuple of torch.Tensor
            Of some clips at a time: maps [b, C, F', T'], gradients [b, P, C, F', T'].
        """
        rows, classifier = self.pairs_per_pass, self.classifier
        if len(scene) <= rows:
            key = classifier, self.stage, scene.mel, text
            make = partial(self._gradients, scene.mel, text)
            yield scene.memory.recall("gradients", key, make, classifier.device)
            return
        for mel, own in zip(scene.mel.split(rows), text.split(rows), strict=True):
            yield self._gradients(mel, own)

    def _gradients(self, mel, text):
        """Of clips [b, M, T] and their prompts [b, P, D], in one pass."""
        encoding = self.classifier.encode(mel.detach().requires_grad_(), "mel")
        maps = encoding.maps[self.stage]
        similarity = torch.einsum("bd,bpd->pb", encoding.embedding, text)
        # clips do not know of each other: the gradient of their sum is each one's
        each = [
            torch.autograd.grad(s.sum(), maps, retain_graph=True)[0]
            for s in self.classifier.temperature * similarity
        ]
        return maps.detach(), torch.stack(each, 1)


class GradientWeighted(CAM):
    """A CAM whose weights come from the gradient at the maps."""

    @abstractmethod
    def weights(self, maps, gradients):
        """Maps [B, C, F, T] and gradients [B, P, C, F, T] to weights [B, P, C]."""

    def saliency(self, scene, text):
        """Clips [B] and each clip's prompts [B, P, D] to maps [B, P, F, T]."""
        parts = [
            (self.weights(maps, gradients), maps)
            for maps, gradients in self.gradients(scene, text)
        ]
        weights, maps = (torch.cat(part) for part in zip(*parts, strict=True))
        return self.combine(weights, maps, scene)
