"""The decoder: exact grids, independent pairs, and what its options switch off."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.decoder_blocks import fit
from speechbrain_lmac.explainers.base import hear
from speechbrain_lmac.explainers.lmac_zs import LMACZS
from speechbrain_lmac.testing import random_classifier

CLASSIFIER = random_classifier()


def make(**options):
    """A decoder whose masks vary, in evaluation mode."""
    torch.manual_seed(0)
    decoder = MaskDecoder(
        CLASSIFIER, **{"width": 16, "fine_width": 8, **options}
    ).eval()
    with torch.no_grad():
        decoder.out.weight.mul_(20)
        if decoder.detail is not None:
            torch.nn.init.normal_(decoder.detail[-1].weight, std=0.1)
    return decoder


def scene(batch=2, frames=51, domain="stft", seed=0):
    generator = torch.Generator().manual_seed(seed)
    magnitude = torch.rand(batch, 513, frames, generator=generator).pow(4) * 50
    return hear(CLASSIFIER, magnitude, domain)


def text(*prompts):
    return CLASSIFIER.embed_text(prompts or ["a dog barking", "rain", "the wind blows"])


def masks(decoder, heard, vectors):
    return LMACZS(decoder)(heard, vectors)


@pytest.mark.parametrize("domain", ["stft", "mel"])
@pytest.mark.parametrize("frames", [1, 2, 3, 15, 16, 17, 31, 100, 251, 333])
def test_exact_grid(domain, frames):
    heard = scene(2, frames, domain)
    out = masks(make(), heard, text())
    assert out.shape == (2, 3, {"stft": 513, "mel": 64}[domain], frames)
    assert out.min() >= 0 and out.max() <= 1 and out.std() > 0.01


@given(st.integers(1, 70), st.integers(1, 90))
def test_exact_grid_of_other_front_ends(bands, frames):
    """Maps of ceil(size / stride), whatever the number of bands."""
    x = torch.rand(1, 8, 2 * bands, 2 * frames)
    for size in ((2 * bands - 1, 2 * frames), (2 * bands, 2 * frames - 1)):
        assert torch.equal(fit(x, size), x[..., : size[0], : size[1]])
    assert fit(x, (bands, 3 * frames)).shape[-2:] == (bands, 3 * frames)


def test_batch_equals_one_by_one():
    decoder, heard, vectors = make(), scene(3), text()
    together = masks(decoder, heard, vectors)
    for i in range(3):
        alone = hear(CLASSIFIER, heard.energies[i : i + 1])
        assert torch.allclose(masks(decoder, alone, vectors)[0], together[i], atol=1e-5)


@pytest.mark.parametrize("groups", [0, 8])
def test_pairs_equal_separate_prompts(groups):
    decoder, heard, vectors = make(groups=groups), scene(2), text()
    together = masks(decoder, heard, vectors)
    for i in range(3):
        alone = masks(decoder, heard, vectors[i : i + 1])
        assert torch.allclose(alone[:, 0], together[:, i], atol=1e-5)
    assert (together[:, 0] - together[:, 1]).abs().max() > 1e-3  # they do differ
    assert (together[0] - together[1]).abs().max() > 1e-2


def test_each_clip_may_have_its_own_prompts():
    decoder, heard, vectors = make(), scene(2), text()
    own = torch.stack([vectors[[0, 1]], vectors[[2, 0]]])
    out = decoder(heard.encoding, heard.mel, own)
    every = masks(decoder, heard, vectors)
    assert torch.allclose(out[0], every[0, [0, 1]], atol=1e-5)
    assert torch.allclose(out[1], every[1, [2, 0]], atol=1e-5)


def test_bins_interpolate_the_bands():
    """The linear mask is the sigmoid of the mel logits carried over by ``bands``."""
    decoder, heard, vectors = make(), scene(1), text()
    logits = decoder.logits(heard.encoding, heard.mel, vectors[None])
    mel = masks(decoder, scene(1, domain="mel"), vectors)
    assert torch.allclose(mel, torch.sigmoid(logits), atol=1e-5)
    stft = masks(decoder, heard, vectors)
    assert torch.allclose(stft, torch.sigmoid(decoder.bands @ logits), atol=1e-5)


def test_without_groups_only_attention_hears_the_prompt():
    decoder = make(groups=0)
    assert decoder.level is None
    assert not any("merge" in name for name, _ in decoder.named_parameters())
    torch.nn.init.zeros_(decoder.attend.value.weight)
    out = masks(decoder, scene(), text())
    assert (out - out[:, :1]).abs().max() < 1e-4
    blind = make()
    torch.nn.init.zeros_(blind.attend.value.weight)
    out = masks(blind, scene(), text())
    assert (out - out[:, :1]).abs().max() > 1e-3  # agreement still hears it


def test_similarity_is_on_the_logit():
    decoder, heard, vectors = make(), scene(), text()
    pairs = vectors.expand(2, -1, -1)
    similarity = heard.encoding.embedding @ vectors.T
    before = decoder.logits(heard.encoding, heard.mel, pairs)
    with torch.no_grad():
        decoder.level += torch.tensor([2.0, 0.5])
    after = decoder.logits(heard.encoding, heard.mel, pairs)
    expected = (2 * similarity + 0.5)[..., None, None].expand_as(before)
    assert torch.allclose(after - before, expected, atol=1e-4)


def test_detail_starts_at_zero():
    torch.manual_seed(0)
    decoder = MaskDecoder(CLASSIFIER)
    heard, vectors = scene(), text()
    with_detail = masks(decoder, heard, vectors)
    decoder.detail, branch = None, decoder.detail
    assert torch.equal(masks(decoder, heard, vectors), with_detail)
    decoder.detail = branch
    torch.nn.init.normal_(branch[-1].weight)
    assert (masks(decoder, heard, vectors) - with_detail).abs().max() > 1e-3


def test_detail_can_be_left_out():
    decoder = make(detail=False)
    assert decoder.detail is None
    assert masks(decoder, scene(), text()).shape == (2, 3, 513, 51)


@pytest.mark.parametrize("groups", [0, 8])
@pytest.mark.parametrize("detail", [False, True])
def test_gradients_reach_every_parameter(groups, detail):
    decoder, heard = make(groups=groups, detail=detail), scene()
    out = decoder(heard.encoding, heard.mel, text().expand(2, -1, -1))
    (out * torch.rand_like(out)).sum().backward()
    silent = [n for n, p in decoder.named_parameters() if not p.grad.abs().sum() > 0]
    # softmax does not see what all text tokens have in common
    assert set(silent) <= {"attend.key.bias"}


def test_each_domain_has_a_last_layer_of_its_own():
    decoder, heard, vectors = make(domains=["stft", "mel"]), scene(), text()

    def logits(domain):
        given = heard.encoding, heard.mel, vectors.expand(2, -1, -1), domain
        return decoder.logits(*given)

    before = logits("stft")
    assert not torch.equal(logits("mel"), before)
    torch.nn.init.zeros_(decoder.out.weight[1])
    assert torch.equal(logits("stft"), before)
    assert logits("mel").flatten(2).std(2).max() < 1e-5  # the similarity alone is left


def test_a_domain_that_was_not_trained_has_the_first_ones_layer():
    decoder, heard, vectors = make(domains=["mel"]), scene(), text().expand(2, -1, -1)
    given = heard.encoding, heard.mel, vectors
    assert torch.equal(decoder.logits(*given, "stft"), decoder.logits(*given, "mel"))


def test_size():
    """At most 20 M parameters, with the maps of a large classifier too."""
    classifier = random_classifier()
    classifier.map_channels, classifier.embedding_dim = (256, 512, 1024, 2048), 1024
    decoder = MaskDecoder(classifier)
    assert sum(p.numel() for p in decoder.parameters()) <= 20e6


def test_saved_without_what_the_classifier_gives():
    assert "bands" not in make().state_dict()


def test_silence_gives_finite_masks():
    heard = hear(CLASSIFIER, torch.zeros(1, 513, 51))
    assert masks(make(), heard, text()).isfinite().all()
