"""What several explainers need of a clip is computed once, and never stale."""

from dataclasses import replace

import pytest
import torch

from speechbrain_lmac.evaluation import measure
from speechbrain_lmac.explainers.base import Scene, hear
from speechbrain_lmac.explainers.gradcam import GradCAM
from speechbrain_lmac.explainers.gradcam_plusplus import GradCAMPlusPlus
from speechbrain_lmac.explainers.gscorecam import GScoreCAM
from speechbrain_lmac.explainers.memory import Memory
from speechbrain_lmac.explainers.scorecam import ScoreCAM
from speechbrain_lmac.testing import random_classifier

METHODS = (GradCAM, GradCAMPlusPlus, GScoreCAM)


@pytest.fixture(scope="module")
def classifier():
    return random_classifier()


@pytest.fixture(scope="module")
def text(classifier):
    return classifier.embed_text(["a dog barking", "rain"])


@pytest.fixture
def scene(classifier):
    waves = 0.1 * torch.randn(3, 8000, generator=torch.Generator().manual_seed(0))
    return hear(classifier, classifier.stft(waves).abs())


@pytest.fixture
def taken(classifier, monkeypatch):
    """How many clips each pass with gradient has."""
    passes, encode = [], type(classifier).encode

    def counted(self, energies, domain="stft"):
        if energies.requires_grad:
            passes.append(len(energies))
        return encode(self, energies, domain)

    monkeypatch.setattr(type(classifier), "encode", counted)
    return passes


def anew(scene):
    """The same clips, of which nothing is remembered."""
    return Scene(scene.energies, scene.mel, scene.encoding, scene.domain)


def test_methods_and_domains_share_one_pass(classifier, scene, text, taken):
    for heard in (scene, replace(scene, energies=scene.mel, domain="mel", known={})):
        shared = [make(classifier)(heard, text) for make in METHODS]
        before = len(taken)
        alone = [make(classifier)(anew(heard), text) for make in METHODS]
        assert len(taken) == before + len(METHODS)
        del taken[before:]
        assert all(map(torch.equal, shared, alone))
    assert taken == [3]


@pytest.mark.parametrize("what", ["text", "stage", "classifier", "clips"])
def test_what_differs_is_taken_anew(classifier, scene, text, taken, what):
    GradCAM(classifier)(scene, text)
    other, stage, heard, asked = classifier, -1, scene, text.clone()
    if what == "text":
        asked[1] = -asked[1]
    elif what == "stage":
        stage = 1
    elif what == "classifier":
        other = random_classifier(seed=5)
    else:
        heard = replace(scene, mel=2 * scene.mel)
    mask = GradCAM(other, stage)(heard, asked)
    assert taken == [3, 3]
    assert torch.equal(mask, GradCAM(other, stage)(anew(heard), asked))
    assert not torch.equal(mask, GradCAM(classifier)(anew(scene), text))


def test_a_text_changed_in_place_is_another(classifier, scene, text, taken):
    asked = text.clone()
    GradCAM(classifier)(scene, asked)
    asked.neg_()
    mask = GradCAM(classifier)(scene, asked)
    assert torch.equal(mask, GradCAM(classifier)(anew(scene), -text))
    assert taken == [3, 3, 3]


def test_more_than_one_pass_is_not_held(classifier, scene, text, taken):
    for make in METHODS[:2]:
        make(classifier, pairs_per_pass=2)(scene, text)
    assert taken == [2, 1, 2, 1]


def test_one_thing_is_held_and_a_failure_leaves_none():
    memory, made = Memory(), []

    def recall(name):
        def make():
            made.append(name)
            if name == "bad":
                raise ValueError
            return name

        return memory.recall("name", (name,), make, torch.device("cpu"))

    assert [recall(name) for name in "aaba"] == ["a", "a", "b", "a"]
    with pytest.raises(ValueError):
        recall("bad")
    assert recall("a") == "a"
    assert made == ["a", "b", "a", "bad", "a"]


def test_kinds_do_not_displace_each_other():
    memory, cpu = Memory(), torch.device("cpu")
    assert memory.recall("one", (1,), lambda: "a", cpu) == "a"
    assert memory.recall("two", (1,), lambda: "b", cpu) == "b"
    assert memory.part("one", (1,)) == "a" and memory.part("one", (2,)) is None


def test_what_is_spared_counts_in_the_seconds(classifier, text, monkeypatch):
    """Each method as if it were alone, by a clock on which a pass takes a second."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    encode = type(classifier).encode

    def slow(self, energies, domain="stft"):
        now[0] += energies.requires_grad
        return encode(self, energies, domain)

    monkeypatch.setattr(type(classifier), "encode", slow)
    heard = measure.Measurement.__new__(measure.Measurement)
    heard.classifier, heard.text = classifier, text
    waves = 0.1 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    spectrum = classifier.stft(waves)
    scene = hear(classifier, spectrum.abs())
    hearing = measure.Hearing(None, spectrum, scene, 0, 0, {})
    seconds = [
        heard._timed(make(classifier), hearing, hearing.in_domain(domain)).seconds
        for domain in ("stft", "mel")
        for make in METHODS
    ]
    assert seconds == [1.0] * 6 and now == [1.0]


# ---- channels that Score-CAM has heard ----


@pytest.fixture
def heard_channels(monkeypatch):
    """How many channels are heard, each time."""
    counts, heard = [], ScoreCAM.heard

    def counted(self, scene, maps, clip, channel):
        counts.append(len(clip))
        return heard(self, scene, maps, clip, channel)

    monkeypatch.setattr(ScoreCAM, "heard", counted)
    return counts


@pytest.mark.parametrize("domain", ["stft", "mel"])
def test_gscorecam_takes_what_scorecam_heard(
    classifier, scene, text, heard_channels, domain
):
    if domain == "mel":
        scene = replace(scene, energies=scene.mel, domain="mel", known={})
    alone = GScoreCAM(classifier)(anew(scene), text)
    heard_channels.clear()
    everything = ScoreCAM(classifier)(scene, text)
    assert len(heard_channels) == 1
    torch.testing.assert_close(GScoreCAM(classifier)(scene, text), alone)
    assert torch.equal(ScoreCAM(classifier)(scene, text), everything)
    assert len(heard_channels) == 1


@pytest.mark.parametrize("what", ["law", "floor_db", "stage", "domain", "clips"])
def test_other_channels_are_heard_anew(classifier, scene, text, heard_channels, what):
    ScoreCAM(classifier)(scene, text)
    others = {"law": "linear", "floor_db": -40.0, "stage": 1}
    if what == "domain":
        scene = replace(scene, energies=scene.mel, domain="mel", known={})
    elif what == "clips":
        scene = replace(scene, energies=2 * scene.energies)
    given = {what: others[what]} if what in others else {}
    mask = GScoreCAM(classifier, **given)(scene, text)
    assert len(heard_channels) == 2
    assert torch.equal(mask, GScoreCAM(classifier, **given)(anew(scene), text))


def test_a_share_of_scorecams_seconds_counts_for_gscorecam(
    classifier, scene, text, monkeypatch
):
    """By a clock on which a channel takes a second."""
    now, heard = [0.0], ScoreCAM.heard
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def slow(self, scene, maps, clip, channel):
        now[0] += len(clip)
        return heard(self, scene, maps, clip, channel)

    monkeypatch.setattr(ScoreCAM, "heard", slow)
    GScoreCAM(classifier)(anew(scene), text)
    alone = now[0]
    assert alone > 0
    ScoreCAM(classifier)(scene, text)
    spared, before = scene.memory.spared, now[0]
    GScoreCAM(classifier)(scene, text)
    assert now[0] == before
    assert scene.memory.spared - spared == pytest.approx(alone)
