"""Pairs of clips and prompts in a training step, and what the loss is made of.

``PaperObjective`` is Eq. 6 with a diversity term. ``SceneObjective`` is what measures
best here (benchmarks/NOTES.md); it departs from the paper in that half of the clips are
mixtures whose target is the prompted source heard alone, and in four further terms.
Both are called in two steps: ``prepare`` (no gradient: scenes, prompts, targets) and
``terms`` (what the masks are worth).
"""

from dataclasses import dataclass

import torch

from speechbrain_lmac import objective
from speechbrain_lmac.explainers.base import Scene, hear, hear_masked


def similarities(embedding, bank):
    """Cosine similarities [..., Q] of unit vectors [..., D] and [Q, D].

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
        Unit vectors of K prompts for each clip [B, K, D].
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
        Magnitudes of the prompted sources of the mixtures [number mixed, K, F, T].
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


class PaperObjective:
    """Eq. 6: every clip with every prompt of the batch, and a diversity term.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    masking : Masking
        What a mask does.
    domain : str
        ``stft`` or ``mel``.
    match : float
        Weight of similarity matching (1 in the paper).
    l1 : float or sequence of float
        lambda_1, weight of the masks' mean (not published); see :func:`at`.
    diversity : float
        lambda_2, weight of prompt diversity (not published).
    """

    def __init__(
        self, classifier, masking, domain="stft", match=1.0, l1=0.05, diversity=0.0
    ):
        self.classifier, self.masking, self.domain = classifier, masking, domain
        self.weights = {"match": match, "sparsity": l1, "diversity": diversity}

    @torch.no_grad()
    def prepare(self, waveforms, bank, prompt):
        """Clips [B, N], a bank [Q, D] and each clip's caption in it [B] to pairs."""
        scene = hear(
            self.classifier, self.classifier.stft(waveforms).abs(), self.domain
        )
        asked = torch.unique(prompt)
        clips = len(waveforms)
        similarity = similarities(scene.encoding.embedding, bank)
        return Pairs(
            scene,
            text=bank[asked].expand(clips, -1, -1),
            bank=bank,
            prompt=asked.expand(clips, -1),
            target=similarity.unsqueeze(1).expand(-1, len(asked), -1),
        )

    def terms(self, pairs, masks, ramp=1.0):
        """Masks [B, K, F, T] to named, weighted terms of the loss."""
        scene = pairs.scene
        kept = self.masking.keep(masks, scene.energies.unsqueeze(1))
        heard = hear_masked(self.classifier, kept, self.domain)
        similarity = (heard * pairs.text).sum(-1)
        target = pairs.target.gather(2, pairs.prompt.unsqueeze(2)).squeeze(2)
        raw = {
            "match": objective.similarity_matching(similarity, target),
            "sparsity": objective.mask_mean(masks),
        }
        if self.weights["diversity"]:
            raw["diversity"] = objective.prompt_diversity(
                masks, scene.energies, pairs.text
            )
        return {n: at(self.weights[n], ramp) * value for n, value in raw.items()}


class SceneObjective:
    """Mixtures with source targets, removal, and sparsity that knows foreign prompts.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    masking : Masking
        What a mask does.
    domain : str
        ``stft`` or ``mel``.
    mix_share : float
        Share of the clips that are mixed with another of the batch.
    mix_db : float
        Mixtures lie within plus and minus this level difference.
    hard_share : float
        Share of foreign prompts that are the likeliest sentence not in the clip.
    match : float
        Weight of similarity matching at the prompt; at half weight for foreign prompts.
    bank : float
        Weight of similarity matching over all sentences of the bank.
    confidence : float or sequence of float
        Weight of :func:`~speechbrain_lmac.objective.confidence_drop`. This weight and
        the next two may move during the training: see :func:`at`.
    l1 : float or sequence of float
        Weight of the mean of masks of prompts that name something in the clip.
    l1_foreign : float or sequence of float
        Weight of the mean of masks of prompts that do not.
    removal : float
        Weight of what the removed sound should be: the other source alone, or, for a
        single clip, no more like the prompt than silence is.
    loudness : float
        Weight of :func:`~speechbrain_lmac.objective.loudness_matching`.
    """

    def __init__(
        self,
        classifier,
        masking,
        domain="stft",
        mix_share=0.5,
        mix_db=5.0,
        hard_share=0.5,
        match=10.0,
        bank=20.0,
        confidence=0.0,
        l1=1.0,
        l1_foreign=1.5,
        removal=1.0,
        loudness=0.0,
    ):
        self.classifier, self.masking, self.domain = classifier, masking, domain
        self.mix_share, self.mix_db, self.hard_share = mix_share, mix_db, hard_share
        self.match, self.bank, self.confidence = match, bank, confidence
        self.l1, self.l1_foreign = l1, l1_foreign
        self.removal, self.loudness = removal, loudness

    @torch.no_grad()
    def prepare(self, waveforms, bank, prompt):
        """Clips [B, N], a bank [Q, D] and each clip's caption in it [B] to pairs.

        A mixture is asked about its sources' captions. A single clip is asked about
        the sentence that the classifier finds likeliest, right or wrong, since that is
        what an explanation is for, and about one that is foreign to it.
        """
        count, stft = len(waveforms), self.classifier.stft
        partner = (
            torch.arange(count) + int(torch.randint(1, max(2, count), ()))
        ) % count
        partner = partner.to(waveforms.device)
        mixed = torch.rand(count, device=waveforms.device) < self.mix_share
        mixed &= prompt != prompt[partner]
        first, second = self._levels(waveforms, waveforms[partner], mixed)
        spectra = stft(torch.stack([first, second]))
        magnitude = spectra.sum(0).abs()
        scene = hear(self.classifier, magnitude, self.domain)
        similarity = similarities(scene.encoding.embedding, bank)

        predicted = similarity.argmax(1)
        foreign = self._foreign(similarity, torch.stack([prompt, predicted], 1))
        asked = torch.stack(
            [
                torch.where(mixed, prompt, predicted),
                torch.where(mixed, prompt[partner], foreign),
            ],
            1,
        )
        target = similarity.unsqueeze(1).repeat(1, 2, 1)
        silence = hear(self.classifier, torch.zeros_like(magnitude[:1]), self.domain)
        rest = (
            similarities(silence.encoding.embedding, bank).expand(count, 2, -1).clone()
        )
        sources = None
        if mixed.any():
            alone = spectra[:, mixed].abs().transpose(0, 1)  # [mixed, 2, F, T]
            heard = hear(self.classifier, alone.flatten(0, 1), self.domain)
            target[mixed] = similarities(heard.encoding.embedding, bank).unflatten(
                0, (-1, 2)
            )
            rest[mixed] = target[mixed].flip(1)
            sources = heard.energies.unflatten(0, (-1, 2))
        own = torch.stack([torch.ones_like(mixed), mixed], 1)
        return Pairs(scene, bank[asked], bank, asked, target, rest, own, mixed, sources)

    def _levels(self, first, second, mixed):
        """Both at 0.1 RMS, plus and minus ``mix_db``, where they are to be mixed."""
        ratio = torch.empty(len(first), 1, device=first.device)
        gain = 10 ** (ratio.uniform_(-self.mix_db, self.mix_db) / 20)
        one, other = (
            0.1 * x / x.square().mean(1, keepdim=True).sqrt().clamp(min=1e-4)
            for x in (first, second)
        )
        mixed = mixed.unsqueeze(1)
        return torch.where(mixed, one, first), torch.where(mixed, gain * other, 0.0)

    def _foreign(self, similarity, present):
        """A sentence of the bank [B] that is none of those that are present [B, 2]."""
        absent = torch.ones_like(similarity).scatter(1, present, 0.0)
        likeliest = similarity.masked_fill(absent == 0, -torch.inf).argmax(1)
        # a bank of two sentences may have no other: then any is as good
        anything = torch.multinomial(absent + 1e-6, 1).squeeze(1)
        hard = torch.rand(len(present), device=present.device) < self.hard_share
        return torch.where(hard, likeliest, anything)

    def terms(self, pairs, masks, ramp=1.0):
        """Masks [B, 2, F, T] to named, weighted terms of the loss."""
        energies = pairs.scene.energies.unsqueeze(1)
        at_prompt = pairs.prompt.unsqueeze(2)
        kept = self.masking.keep(masks, energies)
        heard = hear_masked(self.classifier, kept, self.domain)
        similarity = similarities(heard, pairs.bank)
        own, mixed = pairs.own.float(), pairs.mixed
        terms = {
            "match": self.match
            * objective.similarity_matching(
                similarity.gather(2, at_prompt).squeeze(2),
                pairs.target.gather(2, at_prompt).squeeze(2),
                own + 0.5 * (1 - own),
            ),
            "sparsity": at(self.l1, ramp) * objective.mask_mean(masks, own),
            "foreign": at(self.l1_foreign, ramp) * objective.mask_mean(masks, 1 - own),
        }
        terms["bank"] = self.bank * objective.similarity_matching(
            similarity[pairs.own], pairs.target[pairs.own]
        )
        if self.confidence:
            terms["confidence"] = at(self.confidence, ramp) * objective.confidence_drop(
                similarity[pairs.own],
                pairs.target[pairs.own],
                self.classifier.temperature,
                pairs.prompt[pairs.own],
            )
        if self.removal:
            terms["removal"] = self.removal * self._removal(pairs, masks, energies)
        if self.loudness and mixed.any():
            terms["loudness"] = self.loudness * objective.loudness_matching(
                kept[mixed].flatten(0, 1),
                pairs.sources.flatten(0, 1),
                energies[mixed].expand_as(pairs.sources).flatten(0, 1),
            )
        return terms

    def _removal(self, pairs, masks, energies):
        """The rest of a mixture is the other source; the rest of a clip is nothing."""
        left = self.masking.remove(
            masks[pairs.own], energies.expand_as(masks)[pairs.own]
        )
        heard = hear_masked(self.classifier, left, self.domain)
        similarity = similarities(heard, pairs.bank)
        wanted = pairs.rest[pairs.own]
        of_mixture = pairs.mixed.unsqueeze(1).expand_as(pairs.own)[pairs.own]
        term = similarity.new_zeros(())
        if of_mixture.any():
            term = 2 * objective.similarity_matching(
                similarity[of_mixture], wanted[of_mixture]
            )
        single = ~of_mixture
        if single.any():
            at_prompt = pairs.prompt[pairs.own][single].unsqueeze(1)
            excess = (similarity[single] - wanted[single]).gather(1, at_prompt)
            term = term + excess.clamp(min=0).mean()
        return term
