"""STFT and back for any length; mel filters and the way back to linear bins."""

import pytest
import torch

from speechbrain_lmac.spectrogram import STFT, band_interpolation, mel_matrix

FRONT_ENDS = [
    (16000, 1024, 320),
    (44100, 1024, 320),
    (48000, 1024, 480),
    (8000, 64, 16),
]


@pytest.fixture(params=FRONT_ENDS, ids=str)
def stft(request):
    return STFT(*request.param)


@pytest.mark.parametrize("length", [1, 2, 31, 33, 512, 513, 514, 5001, 16000, 16319])
def test_exactly_the_samples_come_back(stft, length):
    wav = 0.1 * torch.randn(3, length)
    spectrum = stft(wav)
    assert spectrum.shape == (3, stft.n_fft // 2 + 1, length // stft.hop_length + 1)
    assert stft.bins == spectrum.shape[1]
    back = stft.inverse(spectrum, length)
    assert back.shape == wav.shape and (back - wav).abs().max() < 1e-5
    played = stft.playback(spectrum.abs(), spectrum, length)
    assert (played - wav).abs().max() < 1e-5


def test_against_a_literal_transform():
    """A frame is the windowed samples around its centre, sent through the DFT."""
    stft = STFT(8000, n_fft=64, hop_length=16)
    wav = torch.randn(400, dtype=torch.float64)
    spectrum = stft.double()(wav)
    n = torch.arange(64, dtype=torch.float64)
    window = 0.5 - 0.5 * torch.cos(2 * torch.pi * n / 64)
    for frame in (5, 10):
        part = wav[frame * 16 - 32 : frame * 16 + 32] * window
        for k in (0, 3, 32):
            dft = (part * torch.exp(-2j * torch.pi * k * n / 64)).sum()
            assert (spectrum[k, frame] - dft).abs() < 1e-5


def test_any_leading_axes(stft):
    wav = torch.randn(2, 3, 2000)
    spectrum = stft(wav)
    assert torch.allclose(spectrum[1, 2], stft(wav[1, 2]), atol=1e-5)
    assert stft.inverse(spectrum, 2000).shape == wav.shape
    assert stft(wav[0, 0]).shape == spectrum.shape[2:]


def test_full_scale_is_that_of_a_sine():
    stft = STFT(16000)
    time = torch.arange(16000, dtype=torch.float64)
    sine = torch.sin(2 * torch.pi * 100 / 1024 * time).float()
    assert float(stft(sine)[:, 10:-10].abs().max()) == pytest.approx(
        stft.full_scale, rel=1e-4
    )


def test_playback_keeps_the_phase(stft):
    spectrum = stft(torch.randn(3000))
    half = stft.playback(spectrum.abs() / 2, spectrum, 3000)
    assert (half - stft.inverse(spectrum, 3000) / 2).abs().max() < 1e-5
    masks = torch.rand(4, *spectrum.shape)
    several = stft.playback(masks * spectrum.abs(), spectrum, 3000)
    assert several.shape == (4, 3000)
    assert (several[2] - stft.inverse(masks[2] * spectrum, 3000)).abs().max() < 1e-5


def test_what_is_played_is_a_literal_overlap_of_frames():
    """Frames are turned back, windowed and added; then transformed anew."""
    stft = STFT(8000, n_fft=64, hop_length=16)
    wav = torch.randn(400)
    spectrum = stft(wav)
    masked = torch.rand(spectrum.shape) * spectrum.abs()
    phase = spectrum / spectrum.abs()
    n = torch.arange(64)
    window = 0.5 - 0.5 * torch.cos(2 * torch.pi * n / 64)
    total, weight = torch.zeros(464), torch.zeros(464)
    for frame in range(spectrum.shape[1]):
        column = masked[:, frame] * phase[:, frame]
        part = slice(16 * frame, 16 * frame + 64)
        total[part] += window * torch.fft.irfft(column, 64)
        weight[part] += window**2
    sound = (total / weight.clamp(min=1e-8))[32:432]
    wanted = stft(sound).abs()
    played = stft.played(masked, spectrum, 400)
    torch.testing.assert_close(played, wanted, rtol=1e-3, atol=1e-3)
    assert (played - masked).abs().max() > 0.1  # no sound has the masked spectrogram
    same = stft.played(spectrum.abs(), spectrum, 400)
    torch.testing.assert_close(same, spectrum.abs(), rtol=1e-3, atol=1e-3)


def test_silence_stays_silent(stft):
    spectrum = stft(torch.zeros(2000))
    out = stft.playback(spectrum.abs(), spectrum, 2000)
    assert out.abs().max() == 0


def test_gradient_flows_back_to_the_mask():
    stft = STFT(16000)
    spectrum = stft(torch.randn(4000))
    mask = torch.full(spectrum.shape, 0.5, requires_grad=True)
    stft.playback(mask * spectrum.abs(), spectrum, 4000).square().sum().backward()
    assert mask.grad.isfinite().all() and mask.grad.abs().sum() > 0


def test_the_window_is_no_weight():
    assert not STFT(16000).state_dict()


# ---- mel ----


@pytest.fixture(params=[(16000, 1024, 64, 50, 8000), (44100, 1024, 64, 50, 14000)])
def filters(request):
    return mel_matrix(*request.param)


def test_mel_filters(filters):
    assert filters.shape == (513, 64) and (filters >= 0).all()
    assert (filters.sum(0) > 0).all()  # no band is deaf
    peaks = filters.argmax(0)
    assert (peaks.diff() >= 0).all() and peaks[-1] > peaks[0]


def test_mel_bands_answer_to_their_frequency():
    filters = mel_matrix(16000, 1024, 64, 50, 8000)
    answers = [int((filters[k]).argmax()) for k in (10, 50, 150, 400)]
    assert answers == sorted(answers) and len(set(answers)) == 4


def test_interpolation_to_bins(filters):
    weights = band_interpolation(filters)
    assert weights.shape == filters.shape and (weights >= 0).all()
    assert torch.allclose(weights.sum(1), torch.ones(513))
    constant = torch.full((64,), 0.3)
    assert torch.allclose(weights @ constant, torch.full((513,), 0.3))
    rising = weights @ torch.arange(64.0)
    assert (rising.diff() >= -1e-4).all()
    assert (weights > 0).sum(1).max() <= 2


def test_interpolation_meets_the_bands_at_their_centres():
    """Bands at bins 2, 4 and 8: between them values are linear, beyond constant."""
    filters = torch.zeros(11, 3)
    filters[[2, 4, 8], [0, 1, 2]] = 1
    out = band_interpolation(filters) @ torch.tensor([0.0, 1.0, 3.0])
    expected = [0, 0, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3, 3]
    assert torch.allclose(out, torch.tensor(expected))
