"""Which pairs a step has, and in how many passes they are heard."""

import itertools

import pytest
import torch

from speechbrain_lmac.explainers.base import hear_masked
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.mixing import SceneObjective
from speechbrain_lmac.pairing import PaperObjective
from speechbrain_lmac.testing import random_classifier

SENTENCES = ["a dog barking", "rain", "wind", "a church bell", "a clock", "snoring"]
CLIPS, SAMPLES = 4, 4000
WEIGHTS = {"confidence": 1.0, "loudness": 1.0}


@pytest.fixture(scope="module")
def classifier():
    return random_classifier()


@pytest.fixture(scope="module")
def bank(classifier):
    return classifier.embed_text(SENTENCES)


@pytest.fixture
def waves():
    return 0.2 * torch.randn(CLIPS, SAMPLES)


def make(classifier, kind, **settings):
    maskings = Masking.for_domains(classifier, domains=["stft"])
    if kind == "paper":
        return PaperObjective(classifier, maskings, diversity=0.1, **settings)
    return SceneObjective(classifier, maskings, **WEIGHTS, **settings)


def random_masks(pairs):
    shape = (*pairs.prompt.shape, *pairs.scene.energies.shape[1:])
    return torch.rand(shape, requires_grad=True)


# ---- passes ----


@pytest.mark.parametrize("pairs_per_pass", [1, 3, 1000])
@pytest.mark.parametrize("kind", ["paper", "default"])
def test_pairs_per_pass_changes_nothing(classifier, bank, waves, kind, pairs_per_pass):
    loss = make(classifier, kind)
    pairs = loss.prepare(waves, bank, torch.arange(CLIPS))
    masks = random_masks(pairs)
    wanted = sum(loss.terms(pairs, masks).values())
    (gradient,) = torch.autograd.grad(wanted, masks)
    loss.pairs_per_pass = pairs_per_pass
    given = sum(loss.terms(pairs, masks).values())
    assert abs(given - wanted) / abs(wanted) < 1e-6
    (again,) = torch.autograd.grad(given, masks)
    torch.testing.assert_close(again, gradient, rtol=0, atol=1e-6)


def test_a_pass_is_heard_again_only_where_there_are_several(classifier, monkeypatch):
    heard, encode = [], type(classifier).encode

    def noted(self, energies, domain):
        heard.append(len(energies))
        return encode(self, energies, domain)

    monkeypatch.setattr(type(classifier), "encode", noted)
    energies = torch.rand(2, 2, 513, 20, requires_grad=True)
    hear_masked(classifier, energies, "stft", 4).sum().backward()
    assert heard == [4]
    heard.clear()
    hear_masked(classifier, energies, "stft", 3).sum().backward()
    assert heard[:2] == [3, 1] and sorted(heard[2:]) == [1, 3]
    heard.clear()
    with torch.no_grad():
        hear_masked(classifier, energies, "stft", 3)
    assert heard == [3, 1]


def test_activations_of_one_pass_are_held(classifier):
    """What autograd keeps does not grow with the number of passes."""

    def kept(passes):
        total = 0

        def count(x):
            nonlocal total
            total += x.numel()
            return x

        energies = torch.rand(2 * passes, 513, 20, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
            hear_masked(classifier, energies, "stft", 2)
        return total / (2 * passes)

    assert kept(8) < 0.2 * kept(1)


# ---- pairs of a clip ----


def test_all_pairs_are_the_mean_of_all_draws(classifier, bank, waves, monkeypatch):
    """Two prompts of three for each clip: 6 ** 3 orders, each as likely."""
    every, some = make(classifier, "paper"), make(classifier, "paper", pairs_per_clip=2)
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
    some, prompt = make(classifier, "paper", pairs_per_clip=2), torch.arange(CLIPS)
    seen = set()
    for _ in range(30):
        pairs = some.prepare(waves, bank, prompt)
        assert pairs.text.shape[:2] == (CLIPS, 2)
        torch.testing.assert_close(pairs.text, bank[pairs.prompt])
        assert (pairs.prompt[:, 0] != pairs.prompt[:, 1]).all()
        seen |= {tuple(sorted(row)) for row in pairs.prompt.tolist()}
    assert seen == set(itertools.combinations(range(CLIPS), 2))
    more = make(classifier, "paper", pairs_per_clip=9).prepare(waves, bank, prompt)
    assert more.prompt.shape == (CLIPS, CLIPS)  # there are no more


# ---- clips of one process ----


@pytest.mark.parametrize("pairs_per_clip", [None, 3])
@pytest.mark.parametrize("kind", ["paper", "default"])
def test_rows_of_a_batch(classifier, bank, waves, kind, pairs_per_clip):
    """Each process makes its own clips' pairs, as they are in the whole batch."""
    loss = make(classifier, kind)
    if kind == "paper":
        loss.pairs_per_clip = pairs_per_clip

    def prepare(rows):
        torch.manual_seed(3)
        return loss.prepare(waves, bank, torch.tensor([2, 0, 1, 5]), rows)

    whole = prepare(slice(None))
    for rank in range(2):
        part, rows = prepare(slice(rank, None, 2)), slice(rank, None, 2)
        assert torch.equal(part.prompt, whole.prompt[rows])
        for name in ("text", "target", "rest"):
            if getattr(whole, name) is not None:
                given, wanted = getattr(part, name), getattr(whole, name)[rows]
                torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(part.scene.energies, whole.scene.energies[rows])
