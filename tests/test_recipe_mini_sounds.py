"""What the recipe of the embedded classifier makes of recordings."""

import numpy as np
import pytest
import torch

from speechbrain_lmac import audio
from speechbrain_lmac.testing import random_classifier

SHARES = {
    "silence_share": 0.0,
    "ideal_mask_share": 0.0,
    "soft_mask_share": 0.0,
    "band_share": 0.0,
}


@pytest.fixture
def stft():
    return random_classifier().stft


# ---- scenes.py ----


def test_ideal_ratio(recipe):
    ideal_ratio = recipe("scenes").ideal_ratio
    first, second = 100 * torch.rand(2, 5, 7, 9) ** 4
    first[:, 0], second[:, 1] = 0, 0
    mask = ideal_ratio(first, second)
    assert ((mask >= 0) & (mask <= 1)).all()
    assert ((mask > 0.5) == (first > second)).all()  # the louder source has the bin
    heard = first + second > 1e-2
    assert mask[:, 0][heard[:, 0]].max() < 0.02
    assert mask[:, 1][heard[:, 1]].min() > 0.98
    silent = torch.zeros(1, 2, 2)
    assert ideal_ratio(silent, silent).tolist() == [[[0.5, 0.5], [0.5, 0.5]]]


def test_smooth_masks(recipe):
    masks = recipe("scenes").smooth_masks((40, 65, 30))
    assert masks.shape == (40, 65, 30)
    assert ((masks >= 0) & (masks <= 1)).all()
    decided = ((masks < 0.1) | (masks > 0.9)).float().mean()
    assert decided > 0.5  # mostly near 0 or 1
    step = (masks[:, 1:] - masks[:, :-1]).abs().mean()
    assert step < 0.3 * masks.std()  # and smooth


@pytest.mark.parametrize("axis", [1, 2])
def test_lower_bands(recipe, axis):
    ones = torch.ones(30, 100, 100)
    lowered = ones.clone()
    recipe("scenes").lower_bands(lowered, 1.0, axis)
    assert (lowered.amax(3 - axis) == lowered.amin(3 - axis)).all()  # across the other
    profile = lowered.select(3 - axis, 0)
    for row in profile:
        (band,) = torch.where(row < 1)
        assert 2 < len(band) < 40
        assert len(band) == band[-1] - band[0] + 1
        assert len(row[band].unique()) == 1 and row.min() >= 1e-5
    untouched = ones.clone()
    recipe("scenes").lower_bands(untouched, 0.0, axis)
    assert torch.equal(untouched, ones)


def scene_batch(count=24):
    """Sources [B, 2, N], of which every third is alone."""
    sources = 0.3 * torch.randn(count, 2, 8000)
    paired = torch.arange(count) % 3 > 0
    sources[~paired, 1] = 0
    return sources, paired


def test_augment_without_masks_is_a_level(recipe, stft):
    sources, paired = scene_batch()
    magnitude, alone, silent, foreign = recipe("scenes").augment(
        stft, sources, paired, SHARES
    )
    assert not (alone | silent | foreign).any()
    plain = stft(sources.sum(1)).abs()
    gain = magnitude.sum((1, 2)) / plain.sum((1, 2))
    assert (gain >= 10**-1.501).all() and (gain <= 1.001).all()
    torch.testing.assert_close(
        magnitude, plain * gain[:, None, None], rtol=1e-3, atol=1e-3
    )


def test_augment_leaves_one_source_alone(recipe, stft):
    sources, paired = scene_batch()
    sources[:, 1] *= 0.0001  # next to nothing: the ideal mask lets the first pass
    shares = {**SHARES, "ideal_mask_share": 1.0}
    magnitude, alone, silent, foreign = recipe("scenes").augment(
        stft, sources, paired, shares
    )
    assert torch.equal(alone, paired)  # a recording by itself is left as it is
    assert torch.equal(foreign, paired) and not silent.any()
    plain = stft(sources.sum(1)).abs()
    gain = magnitude.sum((1, 2)) / plain.sum((1, 2))
    assert (gain > 0.02).all() and (gain <= 1.001).all()
    sources[paired, 0], sources[paired, 1] = 0, 0.3
    magnitude, *_ = recipe("scenes").augment(stft, sources, paired, shares)
    plain = stft(sources.sum(1)).abs()
    rest = magnitude.sum((1, 2)) / plain.sum((1, 2))
    assert rest[paired].max() < 0.01  # the second source is gone
    assert rest[~paired].min() > 0.02


def test_augment_silences(recipe, stft):
    sources, paired = scene_batch()
    shares = {**SHARES, "silence_share": 1.0}
    magnitude, alone, silent, foreign = recipe("scenes").augment(
        stft, sources, paired, shares
    )
    assert silent.all() and foreign.all() and not alone.any()
    plain = stft(sources.sum(1)).abs()
    gain = magnitude.sum((1, 2)) / plain.sum((1, 2))
    assert (gain < 10**-4.24).all()


def test_augment_never_adds(recipe, stft):
    sources, paired = scene_batch()
    before = sources.clone()
    shares = dict.fromkeys(SHARES, 0.5)
    magnitude, alone, silent, foreign = recipe("scenes").augment(
        stft, sources, paired, shares
    )
    assert torch.equal(sources, before)
    assert magnitude.shape == stft(sources.sum(1)).shape
    assert (magnitude >= 0).all()
    assert (magnitude <= stft(sources.sum(1)).abs() * 1.001 + 1e-4).all()
    assert (foreign >= (alone | silent)).all()
    assert not alone[~paired].any()


# ---- clips.py ----


def test_draw_scenes(recipe):
    draw = recipe("clips").draw_scenes
    scenes = draw(500, 40, 3, 0.6, seed=1)
    np.testing.assert_array_equal(scenes, draw(500, 40, 3, 0.6, seed=1))
    assert not np.array_equal(scenes, draw(500, 40, 3, 0.6, seed=2))
    a, speed_a, shift_a, b, speed_b, shift_b, snr = scenes.T
    counts = np.bincount(a.astype(int), minlength=40)
    assert counts.min() >= 12 and counts.max() <= 13  # every recording, equally often
    pair = b >= 0
    assert 0.5 < pair.mean() < 0.7 and (b[~pair] == -1).all()
    assert (a != b).all() and b.max() < 40
    for speed in (speed_a, speed_b):
        assert set(speed) == {0, 1, 2}
    samples = recipe("clips").SAMPLES
    for shift in (shift_a, shift_b):
        assert shift.min() >= 0 and shift.max() < samples
    assert snr.min() >= -10 and snr.max() <= 10


def test_sources(recipe):
    clips = recipe("clips")
    samples = clips.SAMPLES
    waves = torch.randn(2, 3, samples).half() * torch.tensor([0.01, 0.1, 1])[:, None]
    scenes = np.array(
        [[0, 0, 0, 2, 1, 500, 6.0], [1, 1, samples - 1, -1, 0, 0, 3.0]], dtype=float
    )
    out = clips.sources(scenes, waves)
    assert out.shape == (2, 2, samples)
    torch.testing.assert_close(out.sum(1).abs().amax(1), torch.ones(2))
    rms = out.square().mean(2).sqrt()
    level = 20 * torch.log10(rms[0, 0] / rms[0, 1])
    assert level.item() == pytest.approx(6.0, abs=0.01)  # whatever the recordings have
    assert rms[1, 1] == 0  # a recording by itself

    def same(part, wave):
        cosine = torch.nn.functional.cosine_similarity(part, wave.float(), dim=0)
        assert cosine.item() == pytest.approx(1, abs=1e-5)

    same(out[0, 0], waves[0, 0])
    same(out[0, 1], waves[1, 2].roll(500))
    same(out[1, 0], waves[1, 1].roll(samples - 1))


def test_sources_of_silence(recipe):
    clips = recipe("clips")
    waves = torch.zeros(1, 2, clips.SAMPLES).half()
    scenes = clips.draw_scenes(4, 2, 1, 0.5, seed=0)
    assert not clips.sources(scenes, waves).any()


def test_read(recipe, tmp_path):
    clips = recipe("clips")
    tone = torch.sin(torch.arange(16000) * 2 * torch.pi * 500 / 16000)
    audio.write(tmp_path / "a.wav", 0.5 * tone, 16000)
    for speed, hertz, length in ((1.0, 500, 16000), (0.8, 400, 20000)):
        wave = clips._read((tmp_path / "a.wav", speed)).astype(np.float32)
        assert wave.shape == (clips.SAMPLES,)
        assert not wave[length + 1 :].any() and wave[length - 50 : length].any()
        peak = np.abs(np.fft.rfft(wave)).argmax() * 16000 / clips.SAMPLES
        assert peak == pytest.approx(hertz, abs=1)


@pytest.fixture
def recordings(tmp_path):
    """The tables of ESC-50 and UrbanSound8K, and of what stands in both."""
    esc, urban = tmp_path / "ESC-50", tmp_path / "UrbanSound8K"
    for folder in (esc / "meta", esc / "audio", urban / "metadata"):
        folder.mkdir(parents=True)
    (esc / "meta" / "esc50.csv").write_text(
        "filename,fold,category\n"
        "1-1-A-0.wav,1,dog\n1-2-A-21.wav,1,crying_baby\n4-3-A-0.wav,4,dog\n"
    )
    (esc / "audio" / "1-1-A-0.wav").touch()
    (urban / "metadata" / "UrbanSound8K.csv").write_text(
        "slice_file_name,fold,class\n7-3-0-0.wav,2,dog_bark\n8-5-0-0.wav,1,siren\n"
        "9-8-0-0.wav,2,gun_shot\n"
    )
    (tmp_path / "overlap.csv").write_text(
        "set,fold,file,fsID,has_heldout_sibling\n"
        "ESC-50,1,1-2-A-21.wav,2,False\n"
        "UrbanSound8K,1,2-3-0-0.wav,2,False\n"
        "UrbanSound8K,2,9-8-0-0.wav,9,True\n"
        "ESC-50,1,1-1-A-0.wav,1,False\n"
    )
    return tmp_path


def test_catalogue(recipe, recordings):
    catalogue = recipe("clips").catalogue
    rows = catalogue(recordings, [1], [2])
    assert [c for _, c in rows] == ["dog", "crying baby", "dog", "gun shot"]
    assert [p.relative_to(recordings).as_posix() for p, _ in rows] == [
        "ESC-50/audio/1-1-A-0.wav",
        "ESC-50/audio/1-2-A-21.ogg",  # not there as .wav
        "UrbanSound8K/audio/fold2/7-3-0-0.ogg",
        "UrbanSound8K/audio/fold2/9-8-0-0.ogg",
    ]


def test_catalogue_leaves_out_what_is_held_out_elsewhere(recipe, recordings):
    catalogue, overlap = recipe("clips").catalogue, recordings / "overlap.csv"
    rows = catalogue(recordings, [1], [2], overlap)
    assert [p.stem for p, _ in rows] == ["1-1-A-0", "7-3-0-0"]
    # with both folds in the training, nothing is held out but what is marked so
    rows = catalogue(recordings, [1], [1, 2], overlap)
    assert [p.stem for p, _ in rows] == ["1-1-A-0", "1-2-A-21", "7-3-0-0", "8-5-0-0"]
