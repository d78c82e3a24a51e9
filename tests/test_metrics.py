"""Metrics against their definitions, written out clip by clip in NumPy."""

import math

import numpy as np
import pytest
import torch

from speechbrain_lmac.explainers.base import hear, hear_masked
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.metrics import (
    METRICS,
    complexity,
    faithfulness,
    mask_shape,
    sparseness,
)
from speechbrain_lmac.testing import random_classifier

PROBABILITIES = ("AI", "AD", "AG", "FF", "FidIn")
SHAPES = ("SPS", "COMP", "MM")


def probabilities(clips, classes, seed=0, sharp=3.0):
    """Random rows that sum to one."""
    draw = torch.Generator().manual_seed(seed)
    return torch.softmax(sharp * torch.randn(clips, classes, generator=draw), 1)


def masks(clips, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(clips, 7, 9, generator=draw) ** 3


def slow_faithfulness(p, kept, removed):
    """One clip [C] after the definitions of L-MAC and of its followers."""
    c = int(np.argmax(p))
    before, after, without = float(p[c]), float(kept[c]), float(removed[c])
    return {
        "AI": 100.0 if after - before > 1e-4 else 0.0,
        "AD": 100.0 * max(0.0, before - after) / before,
        "AG": 100.0 * max(0.0, after - before) / (1 - before) if before < 1 else 0.0,
        "FF": before - without,
        "FidIn": 1.0 if int(np.argmax(kept)) == c else 0.0,
    }


def slow_gini(mask):
    """Half the mean difference of all pairs of bins, over their mean."""
    values = mask.reshape(-1).astype(float)
    if values.sum() == 0:
        return 0.0
    differences = sum(abs(a - b) for a in values for b in values)
    return differences / (2 * len(values) ** 2 * values.mean())


def slow_entropy(mask):
    total = float(mask.astype(float).sum())
    shares = [float(v) / total for v in mask.reshape(-1) if v > 0]
    return -sum(share * math.log(share) for share in shares)


# ---- against the definitions ----


@pytest.mark.parametrize("seed", range(3))
def test_faithfulness_is_its_definition(seed):
    p, kept, removed = (probabilities(40, 5, 3 * seed + k) for k in range(3))
    values = faithfulness(p, kept, removed)
    assert tuple(values) == PROBABILITIES
    slow = [
        slow_faithfulness(*rows)
        for rows in zip(p.numpy(), kept.numpy(), removed.numpy(), strict=True)
    ]
    for name, value in values.items():
        wanted = torch.tensor([row[name] for row in slow])
        torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-4)
    assert values["AI"].unique().tolist() == [0, 100]  # both cases occur
    assert values["FidIn"].unique().tolist() == [0, 1]


def test_shape_is_its_definition():
    mask = masks(4)
    mask[0, :5] = 0  # zeros count as bins
    values = mask_shape(mask)
    assert tuple(values) == SHAPES
    for one, sps, comp, mean in zip(mask.numpy(), *values.values(), strict=True):
        assert sps.item() == pytest.approx(slow_gini(one), abs=1e-9)
        assert comp.item() == pytest.approx(slow_entropy(one), abs=1e-9)
        assert mean.item() == pytest.approx(one.mean(), abs=1e-6)


# ---- cases with a known answer ----


def test_identity():
    p = probabilities(20, 5)
    values = faithfulness(p, p, probabilities(20, 5, seed=1))
    assert values["AI"].tolist() == values["AD"].tolist() == [0] * 20
    assert values["AG"].tolist() == [0] * 20
    assert values["FidIn"].tolist() == [1] * 20


@pytest.mark.parametrize("domain", ["stft", "mel"])
@pytest.mark.parametrize("law", ["log", "linear"])
def test_a_mask_of_ones_is_no_increase(domain, law):
    """The round trip of the log law must not count, for a classifier that is sharp."""
    classifier = random_classifier()
    masking = Masking.for_classifier(classifier, domain, law)
    waves = torch.randn(8, 16000) * torch.logspace(-3, 0, 8)[:, None]
    scene = hear(classifier, classifier.stft(waves).abs(), domain)
    text = classifier.embed_text(["rain", "a dog barking", "wind", "a bell"])
    classifier.temperature = 100.0
    p = classifier.probabilities(scene.encoding.embedding, text)
    ones = torch.ones_like(scene.energies)
    kept = hear_masked(classifier, masking.keep(ones, scene.energies), domain)
    values = faithfulness(p, classifier.probabilities(kept, text), p)
    assert values["AI"].sum() == 0
    assert values["AD"].max() < 0.1


def test_the_tolerance_is_small():
    p = torch.tensor([[0.6, 0.4], [0.6, 0.4]])
    kept = torch.tensor([[0.60005, 0.39995], [0.6005, 0.3995]])
    assert faithfulness(p, kept, p)["AI"].tolist() == [0, 100]


def test_certainty_leaves_no_room_for_gain():
    p = torch.tensor([[1.0, 0.0]])
    values = faithfulness(p, p, torch.tensor([[0.0, 1.0]]))
    assert (values["AG"].item(), values["FF"].item()) == (0, 1)


def test_ceilings():
    """All is lost, all is won, all is taken away."""
    p = torch.tensor([[0.9, 0.1], [0.6, 0.4]])
    kept = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    values = faithfulness(p, kept, torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    torch.testing.assert_close(values["AD"], torch.tensor([100.0, 0.0]))
    torch.testing.assert_close(values["AG"], torch.tensor([0.0, 100.0]))
    torch.testing.assert_close(values["FF"], p.amax(1))
    assert values["FidIn"].tolist() == [0, 1]


def test_a_single_class():
    one = torch.ones(3, 1)
    values = faithfulness(one, one, one)
    wanted = {"AI": 0, "AD": 0, "AG": 0, "FF": 0, "FidIn": 1}
    assert {name: v.tolist() for name, v in values.items()} == {
        name: [value] * 3 for name, value in wanted.items()
    }


def test_an_empty_mask():
    values = mask_shape(torch.zeros(2, 4, 5))
    assert {name: v.tolist() for name, v in values.items()} == {
        "SPS": [0, 0],
        "COMP": [0, 0],
        "MM": [0, 0],
    }


@pytest.mark.parametrize("level", [1.0, 0.3, 1e-4, 1e-30])
def test_a_constant_mask(level):
    mask = torch.full((1, 13, 21), level)
    assert sparseness(mask).item() == pytest.approx(0, abs=1e-12)
    assert complexity(mask).item() == pytest.approx(math.log(13 * 21))
    assert mask_shape(mask)["MM"].item() == pytest.approx(level)


def test_a_lone_bin():
    mask = torch.zeros(1, 5, 8)
    mask[0, 2, 3] = 0.01
    assert sparseness(mask).item() == pytest.approx(1 - 1 / 40)
    assert complexity(mask).item() == 0


def test_scale_is_not_shape():
    mask = masks(3)
    for metric in (sparseness, complexity):
        torch.testing.assert_close(metric(mask), metric(mask * 2.0**-10))


# ---- what holds for any input ----


def test_order_and_company_of_clips_change_nothing():
    p, kept, removed = (probabilities(12, 4, k) for k in range(3))
    mask = masks(12)
    order = torch.randperm(12)

    def table(rows):
        values = faithfulness(p[rows], kept[rows], removed[rows])
        return values | mask_shape(mask[rows])

    together, shuffled = table(slice(None)), table(order)
    alone = [table(slice(i, i + 1)) for i in range(12)]
    for name, values in together.items():
        assert torch.equal(values[order], shuffled[name])
        torch.testing.assert_close(torch.cat([one[name] for one in alone]), values)


@pytest.mark.parametrize("sharp", [0.1, 3.0, 100.0])
def test_declared_ranges_hold(sharp):
    p, kept, removed = (probabilities(200, 6, k, sharp) for k in range(3))
    mask = torch.cat([masks(5), torch.ones(1, 7, 9), torch.zeros(1, 7, 9)])
    values = faithfulness(p, kept, removed) | mask_shape(mask)
    assert values.keys() == METRICS.keys()
    for name, value in values.items():
        low, high, better = METRICS[name]
        assert value.min() >= low - 1e-9, name
        assert value.max() <= high * (1 + 1e-6), name
        assert better in ("higher", "lower", "")


def test_directions():
    """A mask that keeps the class and whose rest loses it beats one that does not."""
    p = torch.tensor([[0.7, 0.2, 0.1]])
    high, low = torch.tensor([[0.9, 0.1, 0.0]]), torch.tensor([[0.1, 0.9, 0.0]])
    good, bad = faithfulness(p, high, low), faithfulness(p, low, high)
    for name in PROBABILITIES:
        sign = {"higher": 1, "lower": -1}[METRICS[name].better]
        assert sign * good[name] > sign * bad[name], name


def test_another_class_than_the_predicted_one():
    """All figures follow the class that is explained."""
    p = torch.tensor([[0.7, 0.2, 0.1]])
    kept, removed = torch.tensor([[0.1, 0.8, 0.1]]), torch.tensor([[0.9, 0.05, 0.05]])
    values = faithfulness(p, kept, removed, torch.tensor([1]))
    wanted = slow_faithfulness(*(x[0, [1]].numpy() for x in (p, kept, removed)))
    for name in ("AI", "AD", "AG", "FF"):
        assert values[name].item() == pytest.approx(wanted[name], abs=1e-4)
    assert values["FidIn"].item() == 1  # what is kept is taken for the class


def test_a_class_without_probability_loses_nothing():
    p = torch.tensor([[1.0, 0.0]])
    values = faithfulness(p, p, p, torch.tensor([1]))
    assert {k: v.item() for k, v in values.items()} == {
        "AI": 0, "AD": 0, "AG": 0, "FF": 0, "FidIn": 0
    }  # fmt: skip


def test_a_probability_that_float32_cannot_raise_gains_nothing():
    """All ones would else score AG 100 with a classifier that is very sure."""
    p = torch.tensor([[1 - 2**-24, 2**-24]])
    values = faithfulness(p, torch.tensor([[1.0, 0.0]]), p)
    assert (values["AI"].item(), values["AG"].item()) == (0, 0)


def test_tolerance_is_what_a_probability_must_grow_by():
    p, kept = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.51, 0.49]])
    assert faithfulness(p, kept, p, tolerance=0.005)["AI"].item() == 100
    assert faithfulness(p, kept, p, tolerance=0.02)["AI"].item() == 0
