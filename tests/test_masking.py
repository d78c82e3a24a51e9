"""Keep and remove: identity, silence, and the formula that ties them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.masking import DOMAINS, LAWS, Masking
from speechbrain_lmac.testing import random_classifier

FULL_SCALE = 256.0


def values(seed=0):
    """Magnitudes from silence to full scale, [2, 513, 20]."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.rand(2, 513, 20, generator=generator) * 140 - 140
    x = FULL_SCALE * 10 ** (level / 20)
    x[:, ::7] = 0
    return x


def mask(seed=1):
    return torch.rand(2, 513, 20, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=LAWS)
def masking(request):
    return Masking(FULL_SCALE, law=request.param)


def test_ones_and_zeros(masking):
    x = values()
    ones, zeros = torch.ones_like(x), torch.zeros_like(x)
    assert torch.allclose(masking.keep(ones, x), x, rtol=2e-6, atol=1e-6)
    assert torch.allclose(masking.remove(zeros, x), x, rtol=2e-6, atol=1e-6)
    assert masking.keep(zeros, x).abs().max() == 0
    assert masking.remove(ones, x).abs().max() == 0


def test_between_silence_and_the_sound(masking):
    x, m = values(), mask()
    for out in (masking.keep(m, x), masking.remove(m, x)):
        assert (out >= 0).all() and (out <= x * (1 + 1e-5)).all()
    assert (masking.keep(m, torch.zeros_like(x)) == 0).all()


def test_more_mask_keeps_more(masking):
    x, m = values().clamp(min=1e-3), mask()
    assert (masking.keep((m + 0.1).clamp(max=1), x) > masking.keep(m * 0.9, x)).all()


def test_removed_is_kept_by_the_complement(masking):
    x, m = values(), mask()
    assert torch.equal(masking.remove(m, x), masking.keep(1 - m, x))


def test_relation_of_kept_and_removed():
    x, m = values().double(), mask().double()
    linear = Masking(FULL_SCALE, law="linear")
    assert torch.allclose(linear.keep(m, x) + linear.remove(m, x), x)
    log = Masking(FULL_SCALE, law="log")
    kept, removed = (f(m, x) / log.floor for f in (log.keep, log.remove))
    assert torch.allclose((1 + kept) * (1 + removed), 1 + x / log.floor)


@given(st.floats(0, 1), st.floats(0, 1e4), st.floats(-100, -20), st.sampled_from(LAWS))
def test_against_the_formula(m, x, floor_db, law):
    masking = Masking(FULL_SCALE, floor_db, law)
    floor = FULL_SCALE * 10 ** (floor_db / 20)
    expected = (
        m * x if law == "linear" else floor * math.expm1(m * math.log1p(x / floor))
    )
    pair = torch.tensor([m, x], dtype=torch.float64)
    assert float(masking.keep(*pair)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_constant_mask_compresses_instead_of_turning_down():
    """What the log law is for: loud over soft shrinks; the linear law keeps it."""
    loud, soft = torch.tensor(FULL_SCALE), torch.tensor(FULL_SCALE / 100)

    def ratio(law):
        masking = Masking(FULL_SCALE, law=law)
        return float(masking.keep(0.5, loud) / masking.keep(0.5, soft))

    assert ratio("linear") == pytest.approx(100)
    assert ratio("log") < 15


def test_masks_of_several_prompts_broadcast(masking):
    x, m = values(), torch.stack([mask(s) for s in range(3)], 1)  # [B, P, F, T]
    out = masking.keep(m, x.unsqueeze(1))
    for i in range(3):
        assert torch.equal(out[:, i], masking.keep(m[:, i], x))


def test_gradient_is_finite_at_the_ends(masking):
    m = torch.tensor([0.0, 0.5, 1.0]).requires_grad_()
    masking.keep(m, torch.tensor([0.0, 1.0, FULL_SCALE])).sum().backward()
    assert m.grad.isfinite().all() and m.grad[2] > 0


@pytest.mark.parametrize("domain", DOMAINS)
def test_floor_of_a_classifier(domain):
    """It lies 68 dB under a full-scale sine, in magnitudes or in mel energies."""
    classifier = random_classifier()
    masking = Masking.for_classifier(classifier, domain)
    spectrum = torch.full((1, 513, 1), classifier.stft.full_scale * 10 ** (-68 / 20))
    if domain == "stft":
        assert masking.floor == pytest.approx(float(spectrum[0, 0, 0]))
    else:
        bands = classifier.to_mel(spectrum)
        assert masking.floor == pytest.approx(float(bands.median()), rel=1e-3)


@pytest.mark.parametrize("option", [{"law": "square"}, {"domain": "waveform"}])
def test_unknown_settings(option):
    with pytest.raises(ConfigError, match="choose one of"):
        Masking.for_classifier(random_classifier(), **option)


@pytest.mark.parametrize("floor_db", ["low", None, float("nan"), 100000, -100000])
def test_a_floor_is_a_number(floor_db):
    with pytest.raises(ConfigError, match="mask_floor_db is"):
        Masking(256.0, floor_db)
