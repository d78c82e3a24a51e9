"""What holds for the pairs of both objectives."""

from dataclasses import replace

import pytest
import torch

from speechbrain_lmac import weights
from speechbrain_lmac.classifiers.base import AudioEncoding
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.explainers.base import Scene, hear_masked
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.mixing import SceneObjective
from speechbrain_lmac.pairing import PaperObjective
from speechbrain_lmac.questions import Questions
from speechbrain_lmac.testing import random_classifier

CLIPS = 4
# `alike`: no two sentences, where those of a random classifier all would be
WEIGHTS = {"confidence": 1.0, "loudness": 1.0, "alike": 1.1}


def make(classifier, kind, **settings):
    maskings = Masking.for_domains(classifier, domains=["stft"])
    if kind == "paper":
        return PaperObjective(classifier, maskings, **{"diversity": 0.1, **settings})
    return SceneObjective(classifier, maskings, Questions(), **{**WEIGHTS, **settings})


def prepare(loss, waves, bank):
    """Pairs; where clips are mixed, of mixtures and of single clips."""
    for _ in range(100):
        pairs = loss.prepare(waves, bank, torch.arange(CLIPS))
        if pairs.mixed is None or 0 < pairs.mixed.sum() < CLIPS:
            return pairs
    raise AssertionError("mixtures and single clips never came together")


# ---- passes ----


@pytest.mark.parametrize("pairs_per_pass", [1, 3, 1000])
@pytest.mark.parametrize("kind", ["paper", "default"])
def test_pairs_per_pass_changes_nothing(
    classifier, bank, waves, random_masks, kind, pairs_per_pass
):
    loss = make(classifier, kind)
    pairs = prepare(loss, waves, bank)
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


# ---- clips of one process ----


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("paper", {}), ("paper", {"pairs_per_clip": 3}), ("default", {})],
)
def test_rows_of_a_batch(classifier, bank, waves, kind, settings):
    """Each process makes its own clips' pairs, as they are in the whole batch."""
    loss = make(classifier, kind, **settings)

    def of(rows):
        torch.manual_seed(7)  # two clips are mixed
        return loss.prepare(waves, bank, torch.tensor([2, 0, 1, 5]), rows)

    whole = of(slice(None))
    assert kind == "paper" or 0 < whole.mixed.sum() < CLIPS
    for rank in range(2):
        part, rows = of(slice(rank, None, 2)), slice(rank, None, 2)
        assert torch.equal(part.prompt, whole.prompt[rows])
        for name in ("text", "target", "rest", "own", "mixed", "played"):
            if getattr(whole, name) is not None:
                given, wanted = getattr(part, name), getattr(whole, name)[rows]
                torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(part.scene.energies, whole.scene.energies[rows])


# ---- what a weight means, and where the gradient goes ----


def twice(pairs):
    """The same clips again in one batch."""

    def double(x):
        return torch.cat([x, x])

    scene, encoding = pairs.scene, pairs.scene.encoding
    maps = tuple(map(double, encoding.maps))
    names = "text", "prompt", "target", "rest", "own", "mixed", "sources"
    names = *names, "spectrum", "played", "offered", "noisy"
    again = {
        name: double(getattr(pairs, name))
        for name in names
        if getattr(pairs, name) is not None
    }
    scene = Scene(
        double(scene.energies),
        double(scene.mel),
        AudioEncoding(double(encoding.embedding), maps),
        scene.domain,
    )
    return replace(pairs, scene=scene, **again)


@pytest.mark.parametrize("kind", ["paper", "default"])
def test_a_batch_twice_as_large_has_the_same_loss(
    classifier, bank, waves, random_masks, kind
):
    loss = make(classifier, kind)
    pairs = prepare(loss, waves, bank)
    masks = random_masks(pairs)
    given = loss.terms(twice(pairs), torch.cat([masks, masks]))
    torch.testing.assert_close(given, loss.terms(pairs, masks), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["paper", "default"])
def test_gradient_reaches_the_decoder_alone(bank, waves, kind):
    classifier = random_classifier()
    before = weights.fingerprint(classifier)
    decoder = MaskDecoder(classifier, width=16, fine_width=8)
    # without the terms that a mask alone decides
    without = {"paper": {"diversity": 0.0}, "default": {"l1_foreign": 0, "loudness": 0}}
    loss = make(classifier, kind, l1=0.0, **without[kind])
    pairs = prepare(loss, waves, bank)
    scene = pairs.scene
    masks = decoder(scene.encoding, scene.mel, pairs.text, scene.domain)
    optimizer = torch.optim.SGD(decoder.parameters(), 0.1)
    sum(loss.terms(pairs, masks).values()).backward()
    # all but what lies before the last layer of `detail`, which starts at zero
    waiting = {"detail.0.weight", "detail.0.bias"}
    untouched = {
        name
        for name, parameter in decoder.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    assert untouched <= waiting
    optimizer.step()
    assert all(parameter.grad is None for parameter in classifier.parameters())
    assert weights.fingerprint(classifier) == before
