"""Curves and localisation against their definitions; SPS and COMP against Quantus."""

import math

import numpy as np
import pytest
import torch

from speechbrain_lmac.curves import area, top_bins
from speechbrain_lmac.localisation import (
    ideal_ratio_mask,
    si_sdr_improvement,
    soft_iou,
    source_share,
)
from speechbrain_lmac.metrics import complexity, double_softmax_drop, sparseness


def masks(*size, seed=0):
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed)) ** 3


# ---- parity with Quantus 0.6, whose formulae these are ----


def quantus_sparseness(a):
    """quantus.metrics.complexity.sparseness: Gini index after Chalasani et al. 2020."""
    a = np.sort(np.abs(a.flatten()) + 1e-7)
    count = a.shape[0]
    rank = np.arange(1, count + 1)
    return np.sum((2 * rank - count - 1) * a) / (count * np.sum(a))


def quantus_complexity(a):
    """quantus.metrics.complexity.complexity: entropy (Bhatt et al. 2020)."""
    import scipy.stats

    a = np.abs(a.flatten())
    return scipy.stats.entropy(pk=a / np.sum(a))


@pytest.mark.parametrize("seed", range(3))
def test_parity_with_quantus(seed):
    mask = masks(1, 64, 50, seed=seed).double() + 0.01
    mine = sparseness(mask).item(), complexity(mask).item()
    theirs = quantus_sparseness(mask.numpy()), quantus_complexity(mask.numpy())
    assert mine == pytest.approx(theirs, abs=1e-6)


# ---- deletion and insertion ----


def test_top_bins_are_the_best_ones():
    mask = masks(7, 9)
    for fraction in (0.0, 0.1, 0.5, 1.0):
        (top,) = top_bins(mask, [fraction])
        assert top.sum() == round(fraction * mask.numel())
        inside, outside = mask[top == 1], mask[top == 0]
        if len(inside) and len(outside):
            assert inside.min() >= outside.max()


def test_equal_bins_are_taken_from_all_over():
    """Neither low frequencies nor early frames first."""
    (top,) = top_bins(torch.ones(40, 50), [0.5])
    for half in (top[:20], top[20:], top[:, :25], top[:, 25:]):
        assert half.mean().item() == pytest.approx(0.5, abs=0.08)
    assert torch.equal(top, top_bins(0.3 * torch.ones(40, 50), [0.5])[0])


def test_area_is_the_trapezoid_rule():
    places, values = [0.0, 0.1, 0.4, 1.0], [0.9, 0.5, 0.3, 0.2]
    slow = sum(
        (b - a) * (x + y) / 2
        for a, b, x, y in zip(
            places[:-1], places[1:], values[:-1], values[1:], strict=True
        )
    )
    assert area(places, torch.tensor(values)).item() == pytest.approx(slow)
    assert area([0.0, 1.0], torch.tensor([[1.0, 1.0], [0.0, 0.0]])).tolist() == [1, 0]


# ---- localisation ----


def test_localisation_is_its_definition():
    mask, source, rest = masks(2, 5, 6), masks(5, 6, seed=1), masks(5, 6, seed=2)
    ideal = ideal_ratio_mask(source, rest)
    for i in range(2):
        right = wrong = common = union = 0.0
        for f in range(5):
            for t in range(6):
                m, s, n = (x.item() for x in (mask[i, f, t], source[f, t], rest[f, t]))
                ratio = math.sqrt(s / (s + n))
                assert ideal[f, t].item() == pytest.approx(ratio, rel=1e-5)
                right, wrong = right + m * s, wrong + m * n
                common, union = common + min(m, ratio), union + max(m, ratio)
        share = source_share(mask, source, rest)[i].item()
        assert share == pytest.approx(right / (right + wrong), rel=1e-5)
        assert soft_iou(mask, ideal)[i].item() == pytest.approx(
            common / union, rel=1e-5
        )


def test_ideal_and_empty_masks():
    source, rest = torch.zeros(4, 4), torch.zeros(4, 4)
    source[:2], rest[2:] = 3.0, 5.0
    ideal = ideal_ratio_mask(source, rest)
    trial = torch.stack([ideal, 1 - ideal, torch.zeros(4, 4)])
    assert source_share(trial, source, rest).tolist() == [1, 0, 0]
    assert soft_iou(trial, ideal).tolist() == [1, 0, 0]
    silence = torch.zeros(4, 4)
    assert ideal_ratio_mask(silence, silence).sum() == 0


def slow_si_sdr(estimate, target):
    """Le Roux et al. 2019, Eq. 5."""
    scaled = np.dot(estimate, target) / np.dot(target, target) * target
    return 10 * np.log10(np.sum(scaled**2) / np.sum((scaled - estimate) ** 2))


def test_si_sdr_improvement():
    draw = np.random.default_rng(0)
    source, rest = draw.normal(size=(2, 500))
    estimate = source + 0.2 * rest
    want = slow_si_sdr(estimate, source) - slow_si_sdr(source + rest, source)
    mixture = torch.from_numpy(source + rest)
    trial = torch.from_numpy(np.stack([estimate, 7 * estimate, source + rest]))
    got = si_sdr_improvement(trial, torch.from_numpy(source), mixture)
    assert got.tolist() == pytest.approx([want, want, 0], abs=1e-6)


def test_a_silent_explanation_has_a_defined_improvement():
    source, rest = torch.randn(2, 500)
    mixture = source + rest
    got = si_sdr_improvement(torch.zeros(1, 500), source, mixture)
    before = slow_si_sdr(mixture.numpy(), source.numpy())
    assert got.item() == pytest.approx(-before, abs=1e-4)


# ---- the published AD ----


def test_double_softmax_is_its_definition():
    draw = torch.Generator().manual_seed(0)
    p, kept = torch.softmax(3 * torch.randn(2, 6, 5, generator=draw), -1)
    drops = double_softmax_drop(p, kept)
    for i in range(6):
        c = int(p[i].argmax())
        before = math.exp(p[i, c]) / sum(math.exp(x) for x in p[i])
        after = math.exp(kept[i, c]) / sum(math.exp(x) for x in kept[i])
        want = 100 * max(0.0, before - after) / before
        assert drops[i].item() == pytest.approx(want, abs=1e-3)


def test_the_ceiling_that_published_figures_show():
    """Of 50 classes, from certainty to nothing: about 1 - exp(-p)."""
    p, kept = torch.zeros(2, 1, 50)
    p[0, 0], kept[:] = 1.0, torch.full((1, 50), 0.02)
    assert double_softmax_drop(p, kept).item() == pytest.approx(62.1, abs=0.5)
