"""One contract for every classifier; a backend joins by a line in ``BACKENDS``."""

import copy

import pytest
import torch

from speechbrain_lmac import checkpoint
from speechbrain_lmac.classifiers.base import AudioEncoding, ZeroShotClassifier
from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.testing import random_classifier, random_hf, random_laion
from speechbrain_lmac.weights import fingerprint

BACKENDS = {
    "random": random_classifier,
    "laion": random_laion,
    "laion pann": lambda: random_laion("PANN-14"),
    "hf": random_hf,
}
if (checkpoint.PRETRAINED / "mini" / "classifier.safetensors").exists():
    BACKENDS["mini"] = Mini
PROMPTS = ["a dog barking", "rain", "this is the sound of a church bell"]


@pytest.fixture(scope="module", params=BACKENDS)
def classifier(request):
    return BACKENDS[request.param]()


@pytest.fixture(scope="module")
def once(classifier):
    """What it hears in two clips, heard once: a pass may take a second."""
    with torch.no_grad():
        return classifier.encode(clips(classifier))


def clips(classifier, batch=2, seconds=1.0, seed=0):
    """Magnitudes of noise bursts [B, F, T]."""
    generator = torch.Generator().manual_seed(seed)
    length = round(seconds * classifier.sample_rate)
    waveform = 0.1 * torch.randn(batch, length, generator=generator)
    pulse = torch.linspace(0, 20, length).sin() > 0
    return classifier.stft(waveform * pulse).abs()


def close(a, b, tolerance=1e-5):
    """Encodings that are equal to rounding: unit vectors, and maps by their scale."""
    assert (a.embedding - b.embedding).abs().max() < tolerance
    for x, y in zip(a.maps, b.maps, strict=True):
        assert x.shape == y.shape
        assert (x - y).abs().max() < 10 * tolerance * (1 + y.abs().max())


def unit(vectors):
    return (vectors.norm(dim=-1) - 1).abs().max() < 1e-5


def test_what_it_says_about_itself(classifier):
    assert isinstance(classifier, ZeroShotClassifier)
    assert isinstance(classifier.name, str) and classifier.name
    assert isinstance(classifier.sample_rate, int)
    assert classifier.stft.sample_rate == classifier.sample_rate
    assert classifier.window_seconds is None or classifier.window_seconds > 0
    assert classifier.temperature > 0
    assert len(classifier.map_channels) == len(classifier.map_strides) == 4
    assert classifier.mel_filters.shape[0] == classifier.stft.bins
    assert classifier.device == classifier.mel_filters.device
    prompts = classifier.prompts(["rain", "crying baby"])
    assert prompts[1] == classifier.prompt_template.replace("{}", "crying baby")


def test_frozen(classifier, once):
    before = fingerprint(classifier)
    assert not any(p.requires_grad for p in classifier.parameters())
    classifier.train()
    assert not any(module.training for module in classifier.modules())
    torch.nn.Sequential(classifier).train()
    assert not any(module.training for module in classifier.modules())
    close(classifier.encode(clips(classifier)), once, 1e-7)  # no dropout, no statistics
    classifier.embed_text(PROMPTS)
    assert fingerprint(classifier) == before


def test_gradient_reaches_the_input_and_nothing_else(classifier):
    magnitude = clips(classifier, batch=1).requires_grad_()
    encoding = classifier.encode(magnitude)
    text = classifier.embed_text(PROMPTS)
    assert not text.requires_grad
    similarity = (encoding.embedding @ text.T)[:, 0].sum()
    gradients = torch.autograd.grad(similarity, [*encoding.maps, magnitude])
    for gradient in gradients:  # of each map too: Grad-CAM weighs channels by it
        assert gradient.isfinite().all() and (gradient != 0).any()
    # it comes from everywhere, but for silence and for bins that no band has
    heard = (magnitude > 1e-3) & (classifier.mel_filters.sum(1) > 0)[:, None]
    assert (gradients[-1][heard] != 0).float().mean() > 0.9
    assert all(p.grad is None for p in classifier.parameters())


def test_gradient_of_silence_is_finite(classifier):
    magnitude = torch.zeros_like(clips(classifier, batch=1)).requires_grad_()
    classifier.encode(magnitude).embedding.sum().backward()
    assert magnitude.grad.isfinite().all()


def test_encoding(classifier, once):
    magnitude, encoding = clips(classifier), once
    assert isinstance(encoding, AudioEncoding)
    assert encoding.embedding.shape == (2, classifier.embedding_dim)
    assert unit(encoding.embedding)
    grid = classifier.to_mel(magnitude).shape[-2:]
    for x, channels, stride in zip(
        encoding.maps, classifier.map_channels, classifier.map_strides, strict=True
    ):
        assert x.shape == (2, channels, *(-(-n // stride) for n in grid))
        assert x.isfinite().all()
    assert (encoding.embedding[0] - encoding.embedding[1]).abs().max() > 1e-7


def test_mel_is_the_way_of_stft(classifier, once):
    magnitude = clips(classifier)
    mel = classifier.to_mel(magnitude)
    assert mel.shape[1] == classifier.mel_filters.shape[1] and (mel >= 0).all()
    close(classifier.encode(mel[:1], domain="mel"), once[:1])
    close(classifier.encode(magnitude[1:], domain="stft"), once[1:])


def test_mel_is_an_energy(classifier):
    magnitude = clips(classifier)
    louder = classifier.to_mel(2 * magnitude)
    assert torch.allclose(louder, 4 * classifier.to_mel(magnitude), rtol=1e-4)


def test_batch_equals_single(classifier, once):
    for i, magnitude in enumerate(clips(classifier)):
        close(classifier.encode(magnitude[None]), once[i : i + 1])


def test_order_of_clips(classifier, once):
    magnitude, order = clips(classifier), [1, 0]
    close(classifier.encode(magnitude[order]), once[order])


@pytest.mark.parametrize("frames", [1, 2, 15, 16, 17, 251, 1200])
def test_any_number_of_frames(classifier, frames):
    magnitude = clips(classifier, batch=1, seconds=26)[..., :frames]
    assert magnitude.shape[-1] == frames
    encoding = classifier.encode(magnitude)
    assert unit(encoding.embedding)
    assert all(x.isfinite().all() for x in encoding.maps)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4])
def test_any_level_is_finite(classifier, scale):
    encoding = classifier.encode(scale * clips(classifier, batch=1))
    assert unit(encoding.embedding)
    assert all(x.isfinite().all() for x in encoding.maps)


def test_text(classifier):
    text = classifier.embed_text(PROMPTS)
    assert text.shape == (3, classifier.embedding_dim) and unit(text)
    assert torch.equal(classifier.embed_text(PROMPTS), text)
    for i, prompt in enumerate(PROMPTS):
        assert (classifier.embed_text([prompt])[0] - text[i]).abs().max() < 1e-5
    assert (text[0] - text[1]).abs().max() > 1e-3
    assert (text[1] - text[2]).abs().max() > 1e-3


@pytest.mark.parametrize(
    "prompt", ["x", "日本語", "word " * 200, "$%&", "Rain, heavy!"]
)
def test_any_prompt(classifier, prompt):
    assert unit(classifier.embed_text([prompt]))


def test_probabilities(classifier, once):
    embedding = once.embedding
    text = classifier.embed_text(PROMPTS)
    probabilities = classifier.probabilities(embedding, text)
    logits = classifier.temperature * torch.einsum("bd,pd->bp", embedding, text)
    expected = logits.exp() / logits.exp().sum(1, keepdim=True)
    assert torch.allclose(probabilities, expected, atol=1e-5)
    assert torch.allclose(probabilities.sum(1), torch.ones(2))


def test_copies_are_the_same(classifier, once):
    other = copy.deepcopy(classifier)
    assert fingerprint(other) == fingerprint(classifier)
    close(other.encode(clips(classifier)), once, 1e-7)


def test_blocks_of_the_audio_encoder(classifier):
    """Every weight that is heard with is in one of them, and in no two."""
    inside = [p for _, block in classifier.audio_blocks() for p in block.parameters()]
    assert len({id(p) for p in inside}) == len(inside)
    magnitude = clips(classifier, batch=1)
    for p in classifier.parameters():
        p.requires_grad_(True)
    try:
        embedding = classifier.encode(magnitude).embedding
        own = list(classifier.parameters())
        reached = torch.autograd.grad(embedding.sum(), own, allow_unused=True)
    finally:
        classifier.freeze()
    heard_with = {id(p) for p, g in zip(own, reached, strict=True) if g is not None}
    assert heard_with == {id(p) for p in inside}


def test_random_classifier_leaves_the_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    random_classifier(seed=1)
    assert torch.equal(torch.rand(1), expected)
    prints = {fingerprint(random_classifier(seed)) for seed in (0, 0, 1)}
    assert len(prints) == 2


@pytest.mark.skipif("mini" not in BACKENDS, reason="there is no embedded classifier")
def test_mini_loads_from_its_name():
    assert fingerprint(Mini("mini")) == fingerprint(Mini())
    assert Mini().arguments == {"folder": "mini"}
