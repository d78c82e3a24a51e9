"""Clips and the mixtures that an evaluation makes of them."""

import math

import pandas as pd
import pytest
import torch

from speechbrain_lmac import audio
from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.evaluation.clips import Clips, load_clips
from speechbrain_lmac.evaluation.conditions import (
    SNR_PRESETS,
    InDomain,
    TwoSources,
    WithAnotherClip,
    WithSpeech,
    WithWhiteNoise,
    generator,
    mix,
)
from speechbrain_lmac.testing import random_classifier

RATE, SECONDS = 800, 0.5
LENGTH = int(RATE * SECONDS)
SOUNDS = {"a1": "dog", "a2": "dog", "b1": "rain", "c1": "wind", "s1": "wind"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    draw = torch.Generator().manual_seed(0)
    for name in [*SOUNDS, "speech/one", "speech/two"]:
        sound = 0.1 * torch.randn(LENGTH // 2, generator=draw)
        audio.write(folder / f"{name}.wav", 0 * sound if name == "s1" else sound, RATE)
    return folder


@pytest.fixture(scope="module")
def clips(folder):
    rows = [
        {"ID": clip, "wav": str(folder / f"{clip}.wav"), "label": label}
        for clip, label in SOUNDS.items()
    ]
    return Clips(pd.DataFrame(rows), RATE, SECONDS)


@pytest.fixture(scope="module")
def mixtures(folder):
    return {
        "clip": WithAnotherClip(3.0),
        "noise": WithWhiteNoise(3.0),
        "speech": WithSpeech(folder / "speech", 3.0),
    }


def level(sound):
    return 10 * math.log10(sound.double().square().sum())


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 3.0, 12.04])
def test_snr_is_exact(snr_db):
    sound = mix(torch.randn(5000), 30 * torch.rand(5000), snr_db)
    assert level(sound.source) - level(sound.background) == pytest.approx(
        snr_db, abs=1e-4
    )
    assert torch.equal(sound.waveform, sound.source + sound.background)


@pytest.mark.parametrize("kind", ["clip", "noise", "speech"])
def test_mixtures_leave_the_clip_and_keep_the_snr(kind, clips, mixtures):
    sound = mixtures[kind]("a1", clips, generator(0, kind, "a1"))
    assert torch.equal(sound.source, clips.read("a1"))
    assert len(sound.waveform) == LENGTH
    assert level(sound.source) - level(sound.background) == pytest.approx(3, abs=1e-4)
    # what was added, from the mixture itself
    added = sound.waveform - clips.read("a1")
    assert level(sound.source) - level(added) == pytest.approx(3, abs=1e-2)


@pytest.mark.parametrize("kind", ["clip", "noise", "speech"])
def test_draws_depend_on_seed_and_clip_alone(kind, clips, mixtures):
    def heard(seed, clip):
        return mixtures[kind](clip, clips, generator(seed, kind, clip)).waveform

    first = heard(1, "a1")
    heard(1, "b1")
    assert torch.equal(heard(1, "a1"), first)
    assert any(not torch.equal(heard(seed, "a1"), first) for seed in range(2, 12))


@pytest.mark.parametrize("kind", ["clip", "noise", "speech"])
def test_a_silent_clip_stays_silent(kind, clips, mixtures):
    sound = mixtures[kind]("s1", clips, generator(0, kind, "s1"))
    assert not sound.waveform.any()


def test_silence_adds_nothing():
    source = torch.randn(100)
    assert torch.equal(mix(source, torch.zeros(100), 3.0).waveform, source)


def test_the_other_clip_is_audible_and_of_another_class(clips):
    for seed in range(20):
        other = clips.audible_of_other_class("a1", generator(seed))
        assert any(torch.equal(other, clips.read(c)) for c in ("b1", "c1"))


def test_a_single_class_has_no_other(folder):
    rows = [{"ID": "a1", "wav": str(folder / "a1.wav"), "label": "dog"}]
    single = Clips(pd.DataFrame(rows), RATE, SECONDS)
    with pytest.raises(ConfigError, match="no clip of another class"):
        WithAnotherClip()("a1", single, generator(0))


def test_speech_is_repeated_to_the_length_of_the_clip(folder, clips):
    speech = WithSpeech(folder / "speech").background("a1", clips, generator(3), LENGTH)
    period = LENGTH // 2  # of the recordings
    assert torch.equal(speech[:-period], speech[period:])
    assert speech.any()


def test_another_recording_for_a_damaged_one(tmp_path, clips):
    """Drawn by the seed alone; where the first can be read, as if none were damaged."""
    for name in "abcd":
        audio.write(tmp_path / f"{name}.wav", torch.rand(LENGTH), RATE)
    condition = WithSpeech(tmp_path)

    def heard(seed):
        return condition.background("a1", clips, generator(seed), LENGTH)

    seeds = range(30)
    whole = [heard(seed) for seed in seeds]
    first = [int(torch.randint(4, (), generator=generator(seed))) for seed in seeds]
    for name in "bd":
        (tmp_path / f"{name}.wav").write_text("no sound")
    with pytest.warns(UserWarning, match=r"[bd]\.wav: cannot be read"):
        mended, again = ([heard(seed) for seed in seeds] for _ in range(2))
    intact = [audio.read(tmp_path / f"{name}.wav", RATE) for name in "ac"]
    for i, before, sound, twice in zip(first, whole, mended, again, strict=True):
        assert torch.equal(sound, twice)
        if i in (0, 2):
            assert torch.equal(sound, before)
        # begun anywhere and gone around
        assert any(torch.equal(sound.msort(), x.msort()) for x in intact)
    assert set(first) == {0, 1, 2, 3}


def test_speech_of_which_nothing_can_be_read(tmp_path, clips):
    for name in "ab":
        (tmp_path / f"{name}.wav").write_text("no sound")
    condition = WithSpeech(tmp_path)
    with (
        pytest.warns(UserWarning, match="cannot be read"),
        pytest.raises(ConfigError, match=f"{tmp_path}: none of its recordings"),
    ):
        condition("a1", clips, generator(0))


def test_which_prompt_is_explained():
    assert TwoSources(0.0).prompted_by_label
    assert not any(c.prompted_by_label for c in (InDomain(), WithWhiteNoise()))


def test_snr_presets():
    assert WithWhiteNoise("lmac_noise").snr_db == 6.02
    assert (
        WithAnotherClip("lmac_mixture").snr_db == SNR_PRESETS["lmac_mixture"] == 12.04
    )
    # 0.8 s + 0.2 n and 2 s + n at unit norms
    assert 20 * math.log10(0.8 / 0.2) == pytest.approx(12.04, abs=0.01)
    assert 20 * math.log10(2) == pytest.approx(6.02, abs=0.01)
    with pytest.raises(ConfigError, match="snr_db 'loud'"):
        WithWhiteNoise("loud")


def test_speech_needs_recordings(tmp_path):
    assert not WithSpeech(None).available
    with pytest.raises(ConfigError, match="no recordings"):
        WithSpeech(tmp_path)


def test_clips_are_chosen_evenly(clips):
    assert clips.chosen() == clips.chosen(99) == list(SOUNDS)
    assert clips.chosen(2) == ["a1", "b1"]


def test_unreadable_clips_are_named_and_left_out(tmp_path):
    (tmp_path / "meta").mkdir()
    lines = ["filename,fold,category", "1.wav,1,dog", "2.wav,1,rain"]
    (tmp_path / "meta" / "esc50.csv").write_text("\n".join(lines) + "\n")
    audio.write(tmp_path / "audio" / "1.wav", torch.zeros(100), RATE)
    (tmp_path / "audio" / "2.wav").write_text("no sound")

    def load(dataset="ESC-50", folds=(1,), data=tmp_path):
        manifest = tmp_path / "m.csv"
        return load_clips(dataset, data, list(folds), random_classifier(), manifest)

    clips = load()
    assert clips.ids == ["1"]
    assert len(clips.unreadable) == 1 and "2.wav" in clips.unreadable[0]
    for arguments, said in (
        ({"dataset": "GTZAN"}, "dataset 'GTZAN' is unknown"),
        ({"folds": (1, 9)}, "folds 1 to 5"),
        ({"data": None}, "data_folder is not set"),
    ):
        with pytest.raises(ConfigError, match=said):
            load(**arguments)
