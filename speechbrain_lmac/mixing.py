"""Pairs of mixtures with source targets, and what the loss is made of.

``SceneObjective`` is what measures best here (benchmarks/NOTES.md); it departs from the
paper in that half of the clips are mixtures whose target is the prompted source heard
alone, and in all terms but `match` and the masks' mean.
"""

import torch

from speechbrain_lmac import objective
from speechbrain_lmac.data.augment import at_levels, white_noise
from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.explainers.base import hear, hear_masked
from speechbrain_lmac.pairing import ALL, Pairs, at, one_of, similarities


class SceneObjective:
    """Mixtures with source targets, removal, and sparsity that knows foreign prompts.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    maskings : dict
        By domain, ``stft`` or ``mel``, the :class:`~speechbrain_lmac.masking.Masking`:
        what a mask does there. Each step acts in one of them, drawn anew.
    questions : Questions
        What clips are asked about.
    mix_share : float
        Share of the clips that are mixed with another of the batch.
    mix_db : float
        Mixtures lie within plus and minus this level difference.
    noise_share : float
        Share of the single clips that are heard in white noise.
    noise_db : float
        It lies between 0 and this below the clip, in dB.
    played_share : float
        Share of the clips for which what is kept is what is played: frames overlap, so
        that it differs from the masked spectrogram. For masks on the STFT alone.
    alike : float
        Sentences whose cosine is above this name the same ("dog", "dog bark"): their
        clips are not mixed, and neither is foreign to the other.
    match : float or sequence of float
        Weight of similarity matching at the prompt; at half weight for foreign prompts.
        This weight and those below may move during the training: see :func:`at`.
    bank : float or sequence of float
        Weight of similarity matching over all sentences of the bank.
    confidence : float or sequence of float
        Weight of :func:`~speechbrain_lmac.objective.confidence_drop`.
    odds : float
        What *confidence* asks the odds of a single clip's prompt to be multiplied by;
        a mixture's prompt is to be as likely as in its source alone, which is more.
    l1 : float or sequence of float
        Weight of the mean of masks of prompts that name something in the clip.
    noise_l1 : float
        Share of it for clips in white noise, which sound in all bins and need more.
    l1_foreign : float or sequence of float
        Weight of the mean of masks of prompts that do not.
    removal : float or sequence of float
        Weight of what the removed sound should be: the other source alone, or, for a
        single clip, no more like the prompt than silence is.
    loudness : float or sequence of float
        Weight of :func:`~speechbrain_lmac.objective.loudness_matching`.
    order : float or sequence of float
        Weight of :func:`~speechbrain_lmac.objective.mask_order`.
    pairs_per_pass : int
        See :func:`~speechbrain_lmac.explainers.base.hear_masked`.
    """

    WEIGHTS = "match bank confidence l1 l1_foreign removal loudness order".split()
    NUMBERS = (
        "mix_share mix_db noise_share noise_db played_share alike odds noise_l1".split()
    )

    def __init__(
        self,
        classifier,
        maskings,
        questions,
        mix_share=0.5,
        mix_db=5.0,
        noise_share=0.0,
        noise_db=15.0,
        played_share=0.5,
        alike=0.85,
        match=10.0,
        bank=20.0,
        confidence=0.0,
        odds=1.0,
        l1=1.0,
        noise_l1=1.0,
        l1_foreign=1.5,
        removal=1.0,
        loudness=0.0,
        order=0.0,
        pairs_per_pass=64,
    ):
        self.classifier, self.maskings = classifier, maskings
        self.questions, self.alike = questions, alike
        self.mix_share, self.mix_db = mix_share, mix_db
        self.noise_share, self.noise_db = noise_share, noise_db
        self.played_share = played_share
        self.match, self.bank = match, bank
        self.confidence, self.odds = confidence, odds
        self.l1, self.noise_l1, self.l1_foreign = l1, noise_l1, l1_foreign
        self.removal, self.loudness = removal, loudness
        self.order, self.pairs_per_pass = order, pairs_per_pass

    @torch.no_grad()
    def prepare(self, waveforms, bank, prompt, rows=ALL):
        """Clips [B, N], a bank [Q, D] and each clip's caption in it [B] to pairs.

        ``rows`` of the clips are made into pairs; partners come from the whole batch.
        """
        if len(bank) < 3:
            raise ConfigError(
                f"{len(bank)} sentences to compare with: one that is foreign needs "
                "three, so give more captions or a larger bank_size"
            )
        count, device = len(waveforms), waveforms.device
        # drawn for the whole batch, so that every process draws the same
        domain = one_of(self.maskings)
        shift = int(torch.randint(1, max(2, count), ()))
        partner = torch.arange(count).roll(-shift)
        mixed = (torch.rand(count) < self.mix_share).to(device)
        level = torch.empty(count, 1).uniform_(-self.mix_db, self.mix_db).to(device)
        played = (torch.rand(count) < self.played_share).to(device)
        drawn = self.questions.draw(count, len(bank))
        noise = torch.zeros_like(waveforms)
        if self.noise_share:
            noise = white_noise(waveforms, self.noise_share, self.noise_db)
        noisy = noise.any(1)

        first, second = waveforms[rows], waveforms[partner][rows]
        prompt, other = prompt[rows], prompt[partner][rows]
        alike = (similarities(bank, bank) > self.alike).fill_diagonal_(True)
        mixed = mixed[rows] & ~alike[prompt, other]
        both = mixed.unsqueeze(1)
        first, second = at_levels(first, second, level[rows])
        first = first.where(both, (waveforms + noise)[rows])
        second = second.where(both, 0.0)
        spectra = self.classifier.stft(torch.stack([first, second]))
        magnitude = spectra.sum(0).abs()
        scene = hear(self.classifier, magnitude, domain)
        similarity = similarities(scene.encoding.embedding, bank)

        asked, rivals, offered = self.questions.choose(
            [lot[rows] for lot in drawn],
            similarity,
            torch.stack([prompt, other], 1),
            mixed,
            alike,
        )
        rivals = rivals if self.order else rivals[:, :0]
        target = similarity.unsqueeze(1).repeat(1, 2, 1)
        silence = hear(self.classifier, torch.zeros_like(magnitude[:1]), domain)
        silence = similarities(silence.encoding.embedding, bank)
        rest = silence.expand(len(first), 2, -1).clone()
        sources = scene.energies[:0].unsqueeze(1).expand(-1, 2, -1, -1)
        if mixed.any():
            alone = spectra[:, mixed].abs().transpose(0, 1)  # [mixed, 2, F, T]
            heard = hear(self.classifier, alone.flatten(0, 1), domain)
            target[mixed] = similarities(heard.encoding.embedding, bank).unflatten(
                0, (-1, 2)
            )
            rest[mixed] = target[mixed].flip(1)
            sources = heard.energies.unflatten(0, (-1, 2))
        own = torch.stack([torch.ones_like(mixed), mixed], 1)
        return Pairs(
            scene,
            text=bank[torch.cat([asked, rivals], 1)],
            bank=bank,
            prompt=asked,
            target=target,
            rest=rest,
            own=own,
            mixed=mixed,
            sources=sources,
            spectrum=spectra.sum(0),
            samples=waveforms.shape[1],
            played=played[rows],
            offered=offered,
            noisy=noisy[rows] & ~mixed,
        )

    def terms(self, pairs, masks, ramp=1.0):
        """Masks [B, 2 + rivals, F, T] to named, weighted terms of the loss."""
        energies, domain = pairs.scene.energies.unsqueeze(1), pairs.scene.domain
        masks, rivals = masks[:, :2], masks[:, 2:]
        at_prompt = pairs.prompt.unsqueeze(2)
        kept = self.maskings[domain].keep(masks, energies)
        if domain == "stft" and pairs.played.any():  # mel bands cannot be played
            (rows,) = pairs.played.nonzero(as_tuple=True)
            spectrum = pairs.spectrum[rows].unsqueeze(1)
            played = self.classifier.stft.played(kept[rows], spectrum, pairs.samples)
            kept = kept.index_put((rows,), played)
        heard = hear_masked(self.classifier, kept, domain, self.pairs_per_pass)
        similarity = similarities(heard, pairs.bank)
        own, mixed = pairs.own.float(), pairs.mixed
        sparse = torch.where(pairs.noisy, self.noise_l1, 1.0).view(-1, 1, 1, 1)
        terms = {
            "match": at(self.match, ramp)
            * objective.similarity_matching(
                similarity.gather(2, at_prompt).squeeze(2),
                pairs.target.gather(2, at_prompt).squeeze(2),
                own + 0.5 * (1 - own),
            ),
            "sparsity": at(self.l1, ramp) * objective.mask_mean(sparse * masks, own),
            "foreign": at(self.l1_foreign, ramp) * objective.mask_mean(masks, 1 - own),
        }
        terms["bank"] = at(self.bank, ramp) * objective.similarity_matching(
            similarity[pairs.own], pairs.target[pairs.own]
        )
        if self.confidence:
            left_out = ~pairs.offered.unsqueeze(1).expand_as(similarity)
            now, then = (
                values.masked_fill(left_out, -torch.inf)[pairs.own]
                for values in (similarity, pairs.target)
            )
            single = ~mixed.unsqueeze(1).expand_as(pairs.own)[pairs.own]
            terms["confidence"] = at(self.confidence, ramp) * objective.confidence_drop(
                now,
                then,
                self.classifier.temperature,
                pairs.prompt[pairs.own],
                torch.where(single, self.odds, 1.0),
            )
        if self.order:
            terms["order"] = at(self.order, ramp) * objective.mask_order(
                masks[:, 0], rivals
            )
        if self.removal:
            weight = at(self.removal, ramp)
            terms["removal"] = weight * self._removal(pairs, masks, energies)
        if self.loudness:
            both = kept[mixed], pairs.sources, energies[mixed].expand_as(pairs.sources)
            terms["loudness"] = at(self.loudness, ramp) * objective.loudness_matching(
                *(self.maskings[domain].magnitude(x).flatten(0, 1) for x in both)
            )
        return terms

    def _removal(self, pairs, masks, energies):
        """The rest of a mixture is the other source; the rest of a clip is nothing."""
        domain = pairs.scene.domain
        left = self.maskings[domain].remove(
            masks[pairs.own], energies.expand_as(masks)[pairs.own]
        )
        heard = hear_masked(self.classifier, left, domain, self.pairs_per_pass)
        similarity = similarities(heard, pairs.bank)
        wanted, at_prompt = pairs.rest[pairs.own], pairs.prompt[pairs.own].unsqueeze(1)
        of_mixture = pairs.mixed.unsqueeze(1).expand_as(pairs.own)[pairs.own].float()
        excess = (similarity - wanted).gather(1, at_prompt).squeeze(1).clamp(min=0)
        return 2 * objective.similarity_matching(
            similarity, wanted, of_mixture.unsqueeze(1).expand_as(similarity)
        ) + objective.weighted_mean(excess, 1 - of_mixture)
