"""Score-CAM, a class activation map whose weights need no gradient.

A channel weighs as much as the prompt's similarity once the channel's own map is the
mask on the clip. What such a mask does is a
:class:`~speechbrain_lmac.masking.Masking`, the one by which explanations are made and
measured: with the linear law it is the product of the original papers, with the log law
a faint mask silences (to a classifier with a log front end a product barely does).
"""

from functools import partial

import torch

from speechbrain_lmac.explainers.cam import CAM
from speechbrain_lmac.masking import Masking


def unit_range(maps):
    """Maps scaled from 0 to 1, each by its own minimum and maximum.

    Arguments
    ---------
    maps : torch.Tensor
        [..., M, T].

    Returns
    -------
    torch.Tensor
        Same shape; zeros where a map is constant.
    """
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    return (maps - low) / (high - low).clamp(min=torch.finfo().tiny)


class ScoreCAM(CAM):
    """Score-CAM: every channel that is not constant is heard as a mask.

    ``H_k = s(Up(A_k))`` with s the scaling to [0, 1], ``w = softmax_k(S(H_k * X))``,
    the map is ``ReLU(sum_k w_k A_k)``. Wang et al., "Score-CAM: Score-weighted visual
    explanations for convolutional neural networks", CVPR workshops 2020, algorithm 1;
    the similarity to the baseline that is subtracted there cancels in the softmax. A
    channel that is constant in a clip says nothing about where: it has no weight, and
    is not heard.

    Costs as many encoder passes a clip as the stage has channels that are not constant,
    for any number of prompts.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    stage : int
        Which of the classifier's four maps; -1 is the last.
    law : str
        ``log`` or ``linear``, as the masks that are measured.
    floor_db : float
        The log law's floor in dB re full scale.
    scale : str | float
        See :func:`~speechbrain_lmac.explainers.saliency.to_masks`.
    pairs_per_pass : int
        Masked clips that go through the encoder at once; changes memory, not results.
    """

    def __init__(
        self,
        classifier,
        stage=-1,
        law="log",
        floor_db=-68.0,
        scale="pair",
        pairs_per_pass=64,
    ):
        super().__init__(classifier, stage, scale, pairs_per_pass)
        self.maskings = Masking.for_domains(classifier, law, floor_db)

    @torch.inference_mode()
    def heard(self, scene, maps, clip, channel):
        """Embeddings of clips behind channels, a bounded number at a time.

        Arguments
        ---------
        scene : Scene
            Clips [B].
        maps : torch.Tensor
            Their channels [B, C, F', T'].
        clip : torch.Tensor
            Numbers of clips [N].
        channel : torch.Tensor
            Numbers of channels [N].

        Returns
        -------
        torch.Tensor
            Unit vectors [N, D].
        """
        masking, out = self.maskings[scene.domain], []
        levels = masking.compress(scene.energies)
        for b, k in zip(
            clip.split(self.pairs_per_pass),
            channel.split(self.pairs_per_pass),
            strict=True,
        ):
            masks = unit_range(self.up(maps[b, k].unsqueeze(1), scene)).squeeze(1)
            kept = masking.expand(self.carry(masks, scene) * levels[b])
            out.append(self.classifier.encode(kept, scene.domain).embedding)
        return torch.cat(out)

    @staticmethod
    def varying(maps):
        """Which channels of maps [B, C, F', T'] are not constant [B, C]."""
        return maps.amax((-2, -1)) > maps.amin((-2, -1))

    def key(self, scene):
        """All that decides about the embeddings of a scene's channels."""
        masking = self.maskings[scene.domain]
        law = masking.law, masking.floor
        return self.classifier, self.stage, *law, scene.domain, scene.energies

    def select(self, scene, text, maps):
        """Numbers of the channels to hear, [B, 1, K] (for all prompts) or [B, P, K]."""
        channels = torch.arange(maps.shape[1], device=maps.device)
        return channels.expand(len(maps), 1, -1)

    def embeddings(self, scene, maps, channel, varies):
        """Embeddings [B, P or 1, K, D] of channels, zeros for those that do not vary.

        The scene remembers them, for gScoreCAM.

        Arguments
        ---------
        scene : Scene
            Clips [B].
        maps : torch.Tensor
            Their channels [B, C, F', T'].
        channel : torch.Tensor
            What :meth:`select` gives.
        varies : torch.Tensor
            Of each of these, whether it does [B, P or 1, K].

        Returns
        -------
        torch.Tensor
        """
        make = partial(self.hear_some, scene, maps, channel, varies)
        return scene.memory.recall(
            "channels", self.key(scene), make, self.classifier.device
        )

    def hear_some(self, scene, maps, channel, varies):
        """:meth:`embeddings`, computed."""
        out = maps.new_zeros(*channel.shape, self.classifier.embedding_dim).float()
        # one round trip to the device a batch: what is constant is not heard
        pairs = varies.nonzero(as_tuple=True)
        if len(pairs[0]):
            out[pairs] = self.heard(scene, maps, pairs[0], channel[pairs])
        return out

    def saliency(self, scene, text):
        """Clips [B] and each clip's prompts [B, P, D] to maps [B, P, F, T]."""
        maps = scene.encoding.maps[self.stage]
        channel = self.select(scene, text, maps)
        varies = self.varying(maps).unsqueeze(1)
        varies = varies.expand(-1, channel.shape[1], -1).gather(2, channel)
        heard = self.embeddings(scene, maps, channel, varies)
        score = self.classifier.temperature * (heard * text.unsqueeze(2)).sum(-1)
        # finite: if all are constant the map is constant too, and not a number nowhere
        lowest = torch.finfo(score.dtype).min
        weights = score.masked_fill(~varies, lowest).softmax(-1)
        spread = weights.new_zeros(*score.shape[:2], maps.shape[1])
        spread = spread.scatter(2, channel.expand_as(score), weights)
        return self.combine(spread, maps, scene)
