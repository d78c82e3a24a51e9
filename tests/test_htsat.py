"""The window that CLAP hears, and where its maps light up, for all its networks."""

import pytest
import torch

from speechbrain_lmac.classifiers import htsat
from speechbrain_lmac.classifiers.clap import FRAMES, WINDOW, Window
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.interpreter import LMACZSInterpreter
from speechbrain_lmac.testing import random_hf, random_laion
from speechbrain_lmac.windows import Windows

NETWORKS = {
    "laion": random_laion,
    "hf": random_hf,
    "pann": lambda: random_laion("PANN-14"),
}
BANDS = 64


@pytest.fixture(scope="module", params=NETWORKS)
def classifier(request):
    return NETWORKS[request.param]()


def cnn(classifier):
    return classifier.map_channels[-1] == 2048


def test_fold_stacks_the_quarters_of_time():
    x = torch.arange(2 * 3 * 8.0).reshape(1, 2, 3, 8)
    folded = htsat.fold(x)
    assert folded.shape == (1, 2, 12, 2)
    for quarter in range(4):
        rows = folded[:, :, 3 * quarter : 3 * quarter + 3]
        assert torch.equal(rows, x[..., 2 * quarter : 2 * quarter + 2])
    assert torch.equal(htsat.unfold(folded), x)


@pytest.mark.parametrize("frames", [2, 3, 51, 301, 334, 335, 501, 502, 1000])
def test_short_clips_are_repeated_and_followed_by_silence(frames):
    clip = torch.rand(2, BANDS, frames) + 1
    filled = Window(frames).fill(clip)
    period = frames - 1
    copies = 1000 // period
    expected = torch.zeros(2, BANDS, FRAMES)
    for copy in range(copies):
        expected[..., copy * period : copy * period + frames] = clip
    for copy in range(1, copies):  # the last frame of a copy is the next one's first
        expected[..., copy * period] = clip[..., 0]
    assert torch.equal(filled, expected)


def test_a_longer_clip_is_cut_by_its_seed():
    clip = torch.arange(3000.0).expand(1, BANDS, -1)
    starts = {int(Window(3000, seed).fill(clip)[0, 0, 0]) for seed in range(5)}
    assert len(starts) > 1
    for seed, frames in ((0, 3000), (1, 3000), (1, 1002), (1, 1001)):
        filled = Window(frames, seed).fill(clip[..., :frames])
        assert filled.shape[-1] == FRAMES
        assert (filled.diff() == 1).all()
        assert torch.equal(filled, Window(frames, seed).fill(clip[..., :frames]))


@pytest.mark.parametrize("length", [2 * WINDOW + 7, WINDOW + 1, WINDOW])
def test_waveforms_are_cut_where_spectrograms_are(classifier, length):
    filled = classifier.fill(torch.arange(float(length)).expand(2, -1))
    assert filled.shape == (2, WINDOW)
    assert (filled.diff() == 1).all()
    window = Window(length // 480 + 1, classifier.seed)
    assert filled[0, 0] == 480 * window.start


@pytest.mark.parametrize("frames", [101, 301, 1001, 1500])
@pytest.mark.parametrize("stride", [4 * 1001 / 1024, 32])
def test_own_part_of_a_map(frames, stride):
    window = Window(frames)
    maps = torch.rand(1, 2, 3, int(1001 / stride), requires_grad=True)
    own, whole = window.own(maps, stride)
    assert torch.equal(whole, maps)
    expected = maps.shape[-1] if frames == 1001 else -int(-frames // stride)
    assert own.shape[-1] == expected
    (gradient,) = torch.autograd.grad(whole.square().sum(), own)
    assert torch.equal(gradient, 2 * own)


@pytest.fixture(scope="module")
def lights(classifier):
    """How much each map changes by an event, against a quiet background."""
    quiet = {}

    def hear(energies):
        with torch.no_grad():
            return classifier.encode(energies, "mel").maps

    def changes(frames, band=None, frame=None):
        background = torch.full((1, BANDS, frames), 1e-3)
        if frames not in quiet:
            quiet[frames] = hear(background)
        if band is None:
            background[..., frame - 2 : frame + 3] = 1e2
        else:
            background[:, band] = 1e2
        both = zip(hear(background), quiet[frames], strict=True)
        return [(b - a).square().sum((0, 1)) for a, b in both]

    return changes


# near the ends of the window and of its quarters, which are folded; in a repeated clip,
# and in a part of a longer one
@pytest.mark.parametrize(
    ("frames", "frame"),
    [(1001, 12), (1001, 240), (1001, 262), (301, 40), (301, 240), (1500, 744)],
)
def test_an_impulse_lights_up_its_time(classifier, lights, frames, frame):
    start = Window(frames, classifier.seed).start
    assert start <= frame < start + FRAMES
    maps = zip(lights(frames, frame=frame), classifier.map_strides, strict=True)
    for change, stride in maps:
        width = change.shape[-1]
        place = (change.sum(0).argmax() + 0.5) * frames / width
        # the event has two frames beside it; CNN14's last block looks over two columns
        assert abs(place - frame) <= 2 + stride * (1.5 if cnn(classifier) else 1)


@pytest.mark.parametrize(("frames", "band"), [(1001, 3), (1001, 61), (301, 20)])
def test_a_tone_lights_up_its_band(classifier, lights, frames, band):
    # the last two convolutions of CNN14 see both of the rows that are left
    maps = lights(frames, band=band)[: 3 if cnn(classifier) else 4]
    for change in maps:
        rows = BANDS / change.shape[0]
        assert change.sum(1).argmax() == int(band / rows)


@pytest.mark.parametrize("frames", [51, 301, 1001, 1500])
def test_masks_have_the_clips_own_grid(classifier, frames):
    decoder = MaskDecoder(classifier, width=8, fine_width=4, groups=2)
    magnitude = torch.rand(1, classifier.stft.bins, frames)
    mel = classifier.to_mel(magnitude)
    with torch.no_grad():
        text = classifier.embed_text(["rain", "a dog barking"])
        encoding = classifier.encode(mel, "mel")
        for domain, rows in (("stft", classifier.stft.bins), ("mel", BANDS)):
            mask = decoder(encoding, mel, text[None], domain)
            assert mask.shape == (1, 2, rows, frames)
            assert mask.isfinite().all()


def test_copies_of_a_masked_clip_agree(classifier):
    """What is masked is masked in every copy: the window is a repetition of it."""
    heard = []

    def listen(log_mel, window):
        heard.append(log_mel)
        return original(log_mel, window)

    original, mask = classifier.listen, torch.rand(1, BANDS, 101)
    classifier.listen = listen
    try:
        with torch.no_grad():
            classifier.encode(mask * torch.rand(1, BANDS, 101), "mel")
    finally:
        del classifier.listen
    copies = heard[0][:, :, :1000].unflatten(2, (10, 100))
    assert torch.equal(copies, copies[:, :, :1].expand_as(copies))


def test_the_interpreter_leaves_the_repetition_to_the_classifier(classifier):
    rate = classifier.sample_rate
    clip = 0.1 * torch.randn(3 * rate, generator=torch.Generator().manual_seed(0))
    interpreter = LMACZSInterpreter(
        {"classifier": classifier, "decoder": MaskDecoder(classifier)},
        {"masking_law": "log", "mask_floor_db": -68},
        {"device": "cpu"},
    )
    explanation = interpreter.interpret_batch(clip[None], ["rain"])[0]
    alone = classifier.encode(classifier.stft(clip[None]).abs()).embedding
    expected = (alone * classifier.embed_text(["rain"])).sum()
    torch.testing.assert_close(
        explanation.similarity.before[0], expected, atol=1e-5, rtol=0
    )
    assert explanation.mask.shape[-1] == 301
    assert Windows(classifier, 25 * rate).frames == FRAMES
