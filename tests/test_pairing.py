"""Eq. 6 against literal loops over clips, prompts and bins; draws of its pairs."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from speechbrain_lmac.masking import Masking
from speechbrain_lmac.pairing import PaperObjective, similarities

CLIPS = 4


def test_similarities_are_not_rounded_under_autocast(classifier, bank):
    vectors = torch.nn.functional.normalize(torch.randn(3, 2, bank.shape[1]), dim=-1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = similarities(vectors, bank)
    assert found.dtype == torch.float32
    exact = torch.einsum("bkd,qd->bkq", vectors.double(), bank.double())
    assert (found - exact).abs().max() < 1e-6


# ---- Eq. 6 ----


def slow_paper(classifier, masking, domain, waves, bank, prompt, masks, weights):
    """Eq. 6 with means, in loops over clips j and the prompts i of the batch."""

    def heard(x):
        return classifier.encode(x[None], domain).embedding[0]

    match, size, apart = [], [], []
    asked = sorted(set(prompt.tolist()))
    for j, wave in enumerate(waves):
        x = classifier.stft(wave).abs()
        if domain == "mel":
            x = classifier.to_mel(x[None])[0]
        for k, i in enumerate(asked):
            kept = masking.keep(masks[j, k], x)
            match.append((bank[i] @ heard(x) - bank[i] @ heard(kept)).abs())
            size.append(masks[j, k].mean())
            for other, o in enumerate(asked):
                if o != i:
                    a, b = (masks[j, m] * x for m in (k, other))
                    distance = (a / a.norm() - b / b.norm()).norm()
                    apart.append((distance - (bank[i] - bank[o]).norm()).abs())
    terms = {"match": match, "sparsity": size, "diversity": apart}
    return {n: weights[n] * torch.stack(values).mean() for n, values in terms.items()}


@pytest.mark.parametrize("law", ["log", "linear"])
@pytest.mark.parametrize("domain", ["stft", "mel"])
def test_paper_objective(classifier, bank, waves, random_masks, domain, law):
    masking = Masking.for_classifier(classifier, domain, law)
    paper = PaperObjective(classifier, {domain: masking}, 1.5, 0.2, 0.3)
    prompt = torch.tensor([4, 1, 4, 0])  # two clips share a caption: one prompt
    pairs = paper.prepare(waves, bank, prompt)
    masks = random_masks(pairs)
    assert masks.shape[:2] == (CLIPS, 3)
    torch.testing.assert_close(pairs.text, bank[[0, 1, 4]].expand(CLIPS, -1, -1))
    weights = {"match": 1.5, "sparsity": 0.2, "diversity": 0.3}
    wanted = slow_paper(
        classifier, masking, domain, waves, bank, prompt, masks, weights
    )
    assert_close(paper.terms(pairs, masks), wanted, rtol=1e-4, atol=1e-6)


def test_paper_objective_of_identity_is_its_sparsity(classifier, bank, waves):
    paper = PaperObjective(classifier, Masking.for_domains(classifier), l1=0.25)
    pairs = paper.prepare(waves, bank, torch.arange(CLIPS))
    terms = paper.terms(
        pairs, torch.ones(CLIPS, CLIPS, *pairs.scene.energies.shape[1:])
    )
    assert terms.keys() == {"match", "sparsity"}  # no weight, no diversity
    assert terms["sparsity"].item() == 0.25
    assert terms["match"].item() == pytest.approx(0, abs=1e-5)


# ---- pairs of a clip ----


def make(classifier, **settings):
    maskings = Masking.for_domains(classifier, domains=["stft"])
    return PaperObjective(classifier, maskings, diversity=0.1, **settings)


def test_all_pairs_are_the_mean_of_all_draws(
    classifier, bank, waves, random_masks, monkeypatch
):
    """Two prompts of three for each clip: 6 ** 3 orders, each as likely."""
    every, some = make(classifier), make(classifier, pairs_per_clip=2)
    waves, prompt = waves[:3], torch.tensor([4, 1, 0])
    all_pairs = every.prepare(waves, bank, prompt)
    masks = random_masks(all_pairs)
    wanted = every.terms(all_pairs, masks)
    orders = [torch.tensor(order) / 3 for order in itertools.permutations(range(3))]
    drawn = []
    for rows in itertools.product(orders, repeat=3):
        monkeypatch.setattr(torch, "rand", lambda shape, rows=rows: torch.stack(rows))
        pairs = some.prepare(waves, bank, prompt)
        at = (pairs.prompt.unsqueeze(2) == all_pairs.prompt.unsqueeze(1)).long()
        chosen = masks[torch.arange(3).unsqueeze(1), at.argmax(2)]
        drawn.append(some.terms(pairs, chosen))
    for name, value in wanted.items():
        mean = torch.stack([terms[name] for terms in drawn]).mean()
        torch.testing.assert_close(mean, value, rtol=1e-4, atol=1e-6)


def test_pairs_per_clip(classifier, bank, waves):
    some, prompt = make(classifier, pairs_per_clip=2), torch.arange(CLIPS)
    seen, choices = set(), []
    for _ in range(30):
        pairs = some.prepare(waves, bank, prompt)
        assert pairs.text.shape[:2] == (CLIPS, 2)
        torch.testing.assert_close(pairs.text, bank[pairs.prompt])
        assert (pairs.prompt[:, 0] != pairs.prompt[:, 1]).all()
        choices.append({tuple(sorted(row)) for row in pairs.prompt.tolist()})
        seen |= choices[-1]
    assert seen == set(itertools.combinations(range(CLIPS), 2))
    assert max(map(len, choices)) == CLIPS  # drawn for each clip by itself
    more = make(classifier, pairs_per_clip=9).prepare(waves, bank, prompt)
    assert more.prompt.shape == (CLIPS, CLIPS)  # there are no more
