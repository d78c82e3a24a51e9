"""One contract for every classifier; a backend joins by a line in ``BACKENDS``."""

import copy

import pytest
import torch

from speechbrain_lmac import checkpoint
from speechbrain_lmac.checkpoint import fingerprint
from speechbrain_lmac.classifiers.base import AudioEncoding, ZeroShotClassifier
from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.testing import random_classifier

BACKENDS = {"random": random_classifier}
if (checkpoint.PRETRAINED / "mini" / "classifier.safetensors").exists():
    BACKENDS["mini"] = Mini
PROMPTS = ["a dog barking", "rain", "this is the sound of a church bell"]


@pytest.fixture(scope="module", params=BACKENDS)
def classifier(request):
    return BACKENDS[request.param]()


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


def test_frozen(classifier):
    before = fingerprint(classifier)
    assert not any(p.requires_grad for p in classifier.parameters())
    classifier.train()
    assert not any(module.training for module in classifier.modules())
    torch.nn.Sequential(classifier).train()
    assert not any(module.training for module in classifier.modules())
    once = classifier.encode(clips(classifier))
    close(classifier.encode(clips(classifier)), once, 1e-7)  # no dropout, no statistics
    classifier.embed_text(PROMPTS)
    assert fingerprint(classifier) == before


def test_gradient_reaches_the_input_and_nothing_else(classifier):
    magnitude = clips(classifier).requires_grad_()
    encoding = classifier.encode(magnitude)
    text = classifier.embed_text(PROMPTS)
    assert not text.requires_grad
    (encoding.embedding @ text.T)[:, 0].sum().backward()
    assert magnitude.grad.isfinite().all()
    share = (magnitude.grad != 0).float().mean()
    assert share > 0.5  # it comes from everywhere, but for bins that no band has
    assert all(p.grad is None for p in classifier.parameters())


def test_gradient_of_silence_is_finite(classifier):
    magnitude = torch.zeros_like(clips(classifier)).requires_grad_()
    classifier.encode(magnitude).embedding.sum().backward()
    assert magnitude.grad.isfinite().all()


def test_encoding(classifier):
    magnitude = clips(classifier, batch=3)
    encoding = classifier.encode(magnitude)
    assert isinstance(encoding, AudioEncoding)
    assert encoding.embedding.shape == (3, classifier.embedding_dim)
    assert unit(encoding.embedding)
    grid = classifier.to_mel(magnitude).shape[-2:]
    for x, channels, stride in zip(
        encoding.maps, classifier.map_channels, classifier.map_strides, strict=True
    ):
        assert x.shape == (3, channels, *(-(-n // stride) for n in grid))
        assert x.isfinite().all()
    assert (encoding.embedding[0] - encoding.embedding[1]).abs().max() > 1e-7


def test_mel_is_the_way_of_stft(classifier):
    magnitude = clips(classifier)
    mel = classifier.to_mel(magnitude)
    assert mel.shape[1] == classifier.mel_filters.shape[1] and (mel >= 0).all()
    close(classifier.encode(mel, domain="mel"), classifier.encode(magnitude))
    close(classifier.encode(magnitude, domain="stft"), classifier.encode(magnitude))


def test_mel_is_an_energy(classifier):
    magnitude = clips(classifier)
    louder = classifier.to_mel(2 * magnitude)
    assert torch.allclose(louder, 4 * classifier.to_mel(magnitude), rtol=1e-4)


def test_batch_equals_single(classifier):
    magnitude = clips(classifier, batch=3)
    together = classifier.encode(magnitude)
    for i in range(3):
        close(classifier.encode(magnitude[i : i + 1]), together[i : i + 1])


def test_order_of_clips(classifier):
    magnitude, order = clips(classifier, batch=3), [2, 0, 1]
    close(classifier.encode(magnitude[order]), classifier.encode(magnitude)[order])


@pytest.mark.parametrize("frames", [1, 2, 15, 16, 17, 33, 251, 600])
def test_any_number_of_frames(classifier, frames):
    magnitude = clips(classifier, seconds=13)[..., :frames]
    assert magnitude.shape[-1] == frames
    encoding = classifier.encode(magnitude)
    assert unit(encoding.embedding)
    assert all(x.isfinite().all() for x in encoding.maps)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4])
def test_any_level_is_finite(classifier, scale):
    encoding = classifier.encode(scale * clips(classifier))
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


def test_probabilities(classifier):
    embedding = classifier.encode(clips(classifier)).embedding
    text = classifier.embed_text(PROMPTS)
    probabilities = classifier.probabilities(embedding, text)
    logits = classifier.temperature * torch.einsum("bd,pd->bp", embedding, text)
    expected = logits.exp() / logits.exp().sum(1, keepdim=True)
    assert torch.allclose(probabilities, expected, atol=1e-5)
    assert torch.allclose(probabilities.sum(1), torch.ones(2))


def test_copies_are_the_same(classifier):
    other = copy.deepcopy(classifier)
    assert fingerprint(other) == fingerprint(classifier)
    close(other.encode(clips(classifier)), classifier.encode(clips(classifier)), 1e-7)


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
