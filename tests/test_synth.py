"""Synthesised sounds: reproducible, at a sane level, and what they are said to be."""

import pandas as pd
import pytest
import torch

from speechbrain_lmac import audio
from speechbrain_lmac.data.esc50 import CLASSES
from speechbrain_lmac.data.manifests import captions, read_manifest
from speechbrain_lmac.data.synth import SOUNDS, make_dataset, mix, synthesise
from speechbrain_lmac.errors import ConfigError


def spectrum(waveform):
    """Power [F] and frequencies in Hz [F] of a clip at 16 kHz."""
    power = torch.fft.rfft(waveform).abs().square()
    return power, torch.linspace(0, 8000, len(power))


def share(waveform, low, high):
    """Share of the energy between two frequencies in Hz."""
    power, frequency = spectrum(waveform)
    return power[(frequency >= low) & (frequency < high)].sum() / power.sum()


def level_db(waveform):
    """Re full scale."""
    return 10 * waveform.square().mean().log10()


def levels(waveform):
    """Root mean square of each 10 ms."""
    return waveform.unfold(0, 160, 160).square().mean(dim=1).sqrt()


@pytest.mark.parametrize("name", SOUNDS)
def test_every_sound(name):
    assert name in CLASSES
    first, again, other = (synthesise(name, seed) for seed in (3, 3, 4))
    assert first.shape == (80000,) and first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.05)
    for waveform in (first, other):
        assert waveform.isfinite().all()
        assert 0.49 < waveform.abs().max() < 0.91
        assert -50 < level_db(waveform) < -3
        assert waveform.mean().abs() < 0.01
        # Something is to be heard in the middle, not only at the ends.
        assert level_db(waveform[16000:64000]) > -55


@pytest.mark.parametrize("name", SOUNDS)
def test_other_lengths_and_rates(name):
    for seconds, rate in [(1, 8000), (2, 44100), (0.3, 16000)]:
        waveform = synthesise(name, 5, seconds, rate)
        assert waveform.shape == (int(seconds * rate),)
        assert waveform.isfinite().all()


def test_unknown_sound():
    with pytest.raises(ValueError, match="siren"):
        synthesise("unicorn", 0)


@pytest.mark.parametrize("seed", range(3))
def test_they_are_what_they_are_said_to_be(seed):
    assert share(synthesise("chirping birds", seed), 2000, 7900) > 0.8
    assert share(synthesise("thunderstorm", seed), 20, 1000) > 0.8
    assert share(synthesise("siren", seed), 400, 6000) > 0.8
    assert share(synthesise("rain", seed), 1000, 8000) > 0.5
    # A clock is quiet between its ticks, rain is not.
    quiet = {n: levels(synthesise(n, seed)) for n in ("clock tick", "rain")}
    ratio = {n: x.median() / x.max() for n, x in quiet.items()}
    assert ratio["clock tick"] < 0.2 < 0.25 < ratio["rain"]


@pytest.mark.parametrize("seed", range(3))
def test_the_blades_of_a_helicopter(seed):
    """The envelope repeats 9 to 20 times a second, and at no slower rate."""
    envelope = synthesise("helicopter", seed).abs()
    power, frequency = spectrum(envelope - envelope.mean())
    slow = (frequency > 1) & (frequency < 60)
    peak = frequency[slow][power[slow].argmax()]
    assert 9 < peak < 20.5


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0])
def test_mix(snr_db):
    a, b = synthesise("siren", 0, 1), synthesise("rain", 0, 1)
    added = mix(a, b, snr_db) - a
    assert level_db(a) - level_db(added) == pytest.approx(snr_db, abs=1e-2)
    assert torch.allclose(added / added.std(), b / b.std(), atol=1e-3)
    batch = mix(torch.stack([a, 2 * a]), torch.stack([b, b]), snr_db)
    assert torch.allclose(batch[1], 2 * batch[0], atol=1e-4)


def test_make_dataset(tmp_path):
    train, valid = make_dataset(tmp_path / "one", clips_per_sound=5, seconds=1)
    assert train.parent == valid.parent == tmp_path / "one"
    tables = {
        split: read_manifest(path)
        for split, path in zip(("train", "valid"), (train, valid), strict=True)
    }
    assert (len(tables["train"]), len(tables["valid"])) == (
        4 * len(SOUNDS),
        len(SOUNDS),
    )
    for split, table in tables.items():
        assert set(table.split) == {split}
        assert set(table.label) == set(SOUNDS)
        assert set(table.duration) == {1.0}
        for row in table.itertuples():
            first, second = captions(row.caption)
            assert first == row.label != second
            assert audio.read(row.wav).shape == (16000,)
    assert pd.concat(tables.values()).ID.is_unique


def test_make_dataset_is_reproducible(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_dataset(tmp_path / name, 2, seed, seconds=0.5)
    content = {
        name: [p.read_bytes() for p in sorted((tmp_path / name / "audio").iterdir())]
        for name in "abc"
    }
    assert content["a"] == content["b"]
    assert all(x != y for x, y in zip(content["a"], content["c"], strict=True))
    with pytest.raises(ConfigError, match="2 or more"):
        make_dataset(tmp_path, 1)
