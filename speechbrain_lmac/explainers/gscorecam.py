"""gScoreCAM: Score-CAM over the channels that matter."""

import torch

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.explainers.scorecam import ScoreCAM


class GScoreCAM(ScoreCAM):
    """gScoreCAM: Score-CAM over the channels that the prompt's gradient points at.

    Chen et al., "gScoreCAM: What objects is CLIP looking at?", ACCV 2022: the k
    channels with the largest mean gradient, and the softmax over these alone. (The
    published code leaves the others in the softmax with a score of 0.)

    Costs one pass with gradient and, for every prompt, at most k passes without; those
    that Score-CAM has made of the same scene are not made again.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    top : float
        Share of the channels that are heard; 0.1 in the paper.
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
        top=0.1,
        stage=-1,
        law="log",
        floor_db=-68.0,
        scale="pair",
        pairs_per_pass=64,
    ):
        super().__init__(classifier, stage, law, floor_db, scale, pairs_per_pass)
        if not 0 < top <= 1:
            raise ConfigError(f"share of channels {top}: must be above 0 and at most 1")
        self.top = top

    def select(self, scene, text, maps):
        """Numbers of the channels to hear, [B, P, K]."""
        means = [g.mean((-2, -1)) for _, g in self.gradients(scene, text)]
        count = max(1, round(self.top * maps.shape[1]))
        return torch.cat(means).topk(count).indices

    def embeddings(self, scene, maps, channel, varies):
        """Embeddings [B, P, K, D]; Score-CAM's where the scene remembers them."""
        # of Score-CAM's passes those that are needed here: every varying channel is one
        share = varies.sum() / self.varying(maps).sum().clamp(min=1)
        known = scene.memory.part("channels", self.key(scene), share.item())
        if known is None:
            return self.hear_some(scene, maps, channel, varies)
        clip = torch.arange(len(maps), device=maps.device).reshape(-1, 1, 1)
        return known[clip, 0, channel]
