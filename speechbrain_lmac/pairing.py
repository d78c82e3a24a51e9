"""Pairs of clips and prompts in a training step, and what the loss is made of.

``PaperObjective`` is Eq. 6 with a diversity term; ``mixing.py`` has the objective that
measures best here. Both are called in two steps: ``prepare`` (no gradient: scenes,
prompts, targets) and ``terms`` (what the masks are worth).
"""

from dataclasses import dataclass

import torch

from speechbrain_lmac import objective
from speechbrain_lmac.explainers.base import Scene, hear, hear_masked

ALL = slice(None)


def similarities(embedding, bank):
    """Cosine similarities of sounds with sentences, all of them unit vectors.

    In float32 also under autocast: bfloat16 would round them to the second decimal.

    Arguments
    ---------
    embedding : torch.Tensor
        Of sounds [..., D].
    bank : torch.Tensor
        Of sentences [Q, D].

    Returns
    -------
    torch.Tensor
        [..., Q].
    """
    with torch.autocast(embedding.device.type, enabled=False):
        return embedding @ bank.T


def one_of(maskings):
    """The domain of a step: one of them, each as likely.

    Arguments
    ---------
    maskings : dict
        By domain.

    Returns
    -------
    str
    """
    return list(maskings)[int(torch.randint(len(maskings), ()))]


def at(weight, ramp):
    """A weight that may move during the training.

    Arguments
    ---------
    weight : float or sequence of float
        A number, or two: where it starts and where it stays.
    ramp : float
        How much of the way is done, 0 to 1.

    Returns
    -------
    float

    Example
    -------
    >>> at(3.0, 0.5), at([1.0, 3.0], 0.5)
    (3.0, 2.0)
    """
    if isinstance(weight, int | float):
        return weight
    first, last = weight
    return first + ramp * (last - first)


@dataclass
class Pairs:
    """Clips, the prompts that each is asked about, and what is wanted.

    Arguments
    ---------
    scene : Scene
        B clips, heard once.
    text : torch.Tensor
        Unit vectors of the prompts of each clip [B, K or more, D]. What those after
        the first K are for is the objective's matter.
    bank : torch.Tensor
        Unit vectors of the sentences that similarities are compared over [Q, D].
    prompt : torch.Tensor
        Number in the bank of each prompt [B, K].
    target : torch.Tensor
        Similarities to be kept [B, K, Q].
    rest : torch.Tensor
        Similarities of what should be left once the prompt's sound is gone [B, K, Q].
    own : torch.Tensor
        Whether the prompt names something in the clip [B, K].
    mixed : torch.Tensor
        Whether the clip is a mixture [B].
    sources : torch.Tensor
        The prompted sources of the mixtures, as ``energies`` [number mixed, K, F, T].
    spectrum : torch.Tensor
        Complex spectrograms of the clips [B, F, T], for the phase of what is played.
    samples : int
        Length of the clips.
    played : torch.Tensor
        Whether what is kept of the clip is heard as it is played [B].
    offered : torch.Tensor
        Whether the prompt was chosen among the sentence and others [B, Q].
    noisy : torch.Tensor
        Whether the clip is heard in white noise [B].
    """

    scene: Scene
    text: torch.Tensor
    bank: torch.Tensor
    prompt: torch.Tensor
    target: torch.Tensor
    rest: torch.Tensor | None = None
    own: torch.Tensor | None = None
    mixed: torch.Tensor | None = None
    sources: torch.Tensor | None = None
    spectrum: torch.Tensor | None = None
    samples: int | None = None
    played: torch.Tensor | None = None
    offered: torch.Tensor | None = None
    noisy: torch.Tensor | None = None


class PaperObjective:
    """Eq. 6: every clip with every prompt of the batch, and a diversity term.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    maskings : dict
        By domain, ``stft`` or ``mel``, the :class:`~speechbrain_lmac.masking.Masking`:
        what a mask does there. Each step acts in one of them, drawn anew.
    match : float or sequence of float
        Weight of similarity matching (1 in the paper); see :func:`at`.
    l1 : float or sequence of float
        lambda_1, weight of the masks' mean (not published).
    diversity : float or sequence of float
        lambda_2, weight of prompt diversity (not published).
    pairs_per_clip : int
        Prompts that a clip is asked about: that many of the batch's, drawn anew for
        each clip, every choice alike. So each prompt, and each two prompts of a clip,
        are as likely as any other, and the mean of every term over the draws is the
        term of all pairs, at a cost linear in the batch. With 1 there are no two
        prompts to differ. None for all pairs.
    pairs_per_pass : int
        See :func:`~speechbrain_lmac.explainers.base.hear_masked`.
    """

    WEIGHTS, NUMBERS = ("match", "l1", "diversity"), ()

    def __init__(
        self,
        classifier,
        maskings,
        match=1.0,
        l1=(0.0, 0.3),
        diversity=0.0,
        pairs_per_clip=None,
        pairs_per_pass=64,
    ):
        self.classifier, self.maskings = classifier, maskings
        self.match, self.l1, self.diversity = match, l1, diversity
        self.pairs_per_clip, self.pairs_per_pass = pairs_per_clip, pairs_per_pass

    @torch.no_grad()
    def prepare(self, waveforms, bank, prompt, rows=ALL):
        """Clips [B, N], a bank [Q, D] and each clip's caption in it [B] to pairs.

        ``rows`` of the clips are made into pairs, with prompts of the whole batch.
        """
        asked = torch.unique(prompt).expand(len(waveforms), -1)
        if self.pairs_per_clip:
            order = torch.rand(asked.shape).argsort(1).to(asked.device)
            asked = asked.gather(1, order[:, : self.pairs_per_clip])
        domain = one_of(self.maskings)
        asked, magnitude = asked[rows], self.classifier.stft(waveforms[rows]).abs()
        scene = hear(self.classifier, magnitude, domain)
        similarity = similarities(scene.encoding.embedding, bank)
        return Pairs(
            scene,
            text=bank[asked],
            bank=bank,
            prompt=asked,
            target=similarity.unsqueeze(1).expand(-1, asked.shape[1], -1),
        )

    def terms(self, pairs, masks, ramp=1.0):
        """Masks [B, K, F, T] to named, weighted terms of the loss."""
        scene = pairs.scene
        kept = self.maskings[scene.domain].keep(masks, scene.energies.unsqueeze(1))
        heard = hear_masked(self.classifier, kept, scene.domain, self.pairs_per_pass)
        similarity = (heard * pairs.text).sum(-1)
        target = pairs.target.gather(2, pairs.prompt.unsqueeze(2)).squeeze(2)
        terms = {
            "match": at(self.match, ramp)
            * objective.similarity_matching(similarity, target),
            "sparsity": at(self.l1, ramp) * objective.mask_mean(masks),
        }
        if self.diversity:
            terms["diversity"] = at(self.diversity, ramp) * objective.prompt_diversity(
                masks, scene.energies, pairs.text
            )
        return terms
