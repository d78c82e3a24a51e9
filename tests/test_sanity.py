"""Sanity checks of explanations: each measure where its value is known."""

import numpy as np
import pandas as pd
import pytest
import torch

from speechbrain_lmac import weights
from speechbrain_lmac.classifiers.base import ZeroShotClassifier
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.evaluation import prompts, randomisation, ssim
from speechbrain_lmac.evaluation.frechet import frechet_distance
from speechbrain_lmac.evaluation.study import Study
from speechbrain_lmac.explainers.base import own_prompts
from speechbrain_lmac.explainers.gradcam import GradCAM
from speechbrain_lmac.explainers.lmac_zs import LMACZS
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.testing import random_classifier

pytestmark = pytest.mark.usefixtures("short_window")
CLASSES = ("rain", "wind", "dog", "siren", "bell", "frog")


class Level:
    """Masks of one value for each pair; ``of`` makes it of the similarity."""

    def __init__(self, of):
        self.of = of

    def __call__(self, scene, text):
        similarity = torch.einsum(
            "bd,bkd->bk", scene.encoding.embedding, own_prompts(scene, text)
        )
        ones = torch.ones_like(scene.energies).unsqueeze(1)
        return self.of(similarity)[..., None, None] * ones


@pytest.fixture(scope="module")
def classifier():
    """Learned nothing, but its statistics are no longer those of a new network."""
    classifier = random_classifier()
    randomisation.randomise(classifier.audio, torch.Generator().manual_seed(9))
    return classifier


@pytest.fixture(scope="module")
def make_study(classifier):
    """A study of three noises, the last silent, with the given methods."""
    waves = torch.randn(3, 6400, generator=torch.Generator().manual_seed(1))
    waves *= torch.tensor([[0.1], [0.01], [0.0]])

    def make(domain="stft", batch=8, **makers):
        return Study(
            classifier,
            makers,
            Masking.for_classifier(classifier, domain),
            ["loud", "faint", "silent"],
            waves,
            torch.tensor([0, 1, 2]),
            CLASSES,
            classifier.prompts(CLASSES),
            domain,
            batch=batch,
        )

    return make


# ---- cascading randomisation ----


def test_everything_learned_is_randomised(classifier):
    """Step by step from the top: what is drawn is drawn wholly, the rest stays."""
    before = weights.fingerprint(classifier)
    trained = {k: v.clone() for k, v in classifier.state_dict().items()}
    blocks = dict(classifier.audio_blocks())
    gone = set()
    steps = randomisation.cascade(classifier, seed=3)
    assert next(steps)[0] == "trained"
    for (name, copied), expected in zip(steps, blocks, strict=True):
        assert name == expected
        ids = {id(v): k for k, v in classifier.state_dict(keep_vars=True).items()}
        gone |= {ids[id(v)] for v in blocks[name].state_dict(keep_vars=True).values()}
        for key, value in copied.state_dict().items():
            same = value == trained[key]
            if key not in gone or key.endswith("num_batches_tracked"):
                assert same.all(), key
            else:
                assert not same.any(), key
    audio = {k for k in trained if k.startswith("audio.")}
    assert gone == audio  # nothing of the encoder is outside the blocks
    assert weights.fingerprint(classifier) == before


def test_the_draws_have_a_seed(classifier):
    def last(seed):
        *_, (_, copied) = randomisation.cascade(classifier, seed)
        return weights.fingerprint(copied)

    torch.manual_seed(7)
    one = last(0)
    torch.manual_seed(8)
    assert one == last(0) != last(1)


def test_a_randomised_classifier_still_hears(classifier):
    waves = 0.1 * torch.randn(4, 6400)
    for _, copied in randomisation.cascade(classifier):
        heard = copied.encode(copied.stft(waves).abs())
        assert heard.embedding.isfinite().all()
        assert all(m.isfinite().all() for m in heard.maps)


def test_a_classifier_that_names_no_blocks(classifier):
    with pytest.raises(ConfigError, match=r"'mini'.*audio_blocks"):
        ZeroShotClassifier.audio_blocks(classifier)


def slow_ssim(one, other):
    """Wang et al. 2004, Eq. 13, with a Gaussian window of 11 x 11 and spread 1.5."""
    x = np.arange(11) - 5
    window = np.exp(-(x**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2
    c1, c2, values = 0.01**2, 0.03**2, []
    one, other = (np.pad(x, 5, mode="reflect") for x in (one, other))
    for i in range(one.shape[0] - 10):
        for j in range(one.shape[1] - 10):
            a, b = one[i : i + 11, j : j + 11], other[i : i + 11, j : j + 11]
            m1, m2 = (window * a).sum(), (window * b).sum()
            v1, v2 = (window * (a - m1) ** 2).sum(), (window * (b - m2) ** 2).sum()
            both = (window * (a - m1) * (b - m2)).sum()
            top = (2 * m1 * m2 + c1) * (2 * both + c2)
            values.append(top / ((m1**2 + m2**2 + c1) * (v1 + v2 + c2)))
    return np.mean(values)


def test_ssim_is_that_of_its_equation():
    one, other = torch.rand(2, 2, 18, 16)
    other[0] = 0.7 * one[0] + 0.3 * other[0]
    found = ssim.map_similarity(one, other)
    for a, b, value in zip(one, other, found, strict=True):
        expected = slow_ssim(a.double().numpy(), b.double().numpy())
        assert value.item() == pytest.approx(expected, abs=1e-4)


def test_identical_maps_and_vanished_maps():
    sparse = torch.zeros(1, 64, 64)
    sparse[:, 10:14, 20:24] = 0.9
    nothing = torch.zeros(1, 64, 64)
    faint = 0.5 * ssim.VANISHED * sparse

    def alike(one, other):
        return ssim.map_similarity(one, other).item()

    assert alike(sparse, sparse) == pytest.approx(1, abs=1e-5)
    assert alike(sparse, nothing) == alike(sparse, faint) == alike(nothing, sparse) == 0
    assert alike(nothing, nothing) == pytest.approx(1)  # nothing has changed
    both = ssim.map_similarity(
        torch.cat([sparse, sparse]), torch.cat([sparse, nothing])
    )
    assert both.tolist() == pytest.approx([1, 0], abs=1e-5)


@pytest.mark.parametrize("domain", ["stft", "mel"])
def test_maps_are_those_of_the_randomised_classifier(make_study, classifier, domain):
    """The scene is heard anew, and a map that ignores the classifier stays."""
    torch.manual_seed(2)
    decoder = MaskDecoder(classifier, width=16, fine_width=8)
    torch.nn.init.normal_(decoder.out.weight, std=2.0)
    stays = Level(lambda similarity: torch.full_like(similarity, 0.3))
    goes = {}

    def vanishes(given):
        first = goes.setdefault("trained", weights.fingerprint(given))
        level = 0.3 * (weights.fingerprint(given) == first)
        return Level(lambda similarity: torch.full_like(similarity, level))

    study = make_study(
        domain,
        lmac_zs=lambda _: LMACZS(decoder),
        gradcam=GradCAM,
        stays=lambda _: stays,
        vanishes=vanishes,
    )
    values, strip = randomisation.measure(study)
    blocks = [name for name, _ in classifier.audio_blocks()]
    assert strip["blocks"] == ["trained", *blocks]
    assert values.groupby(["method", "step"]).size().eq(3).all()
    mean = values.groupby(["method", "step"])["SSIM"].mean().unstack()
    assert (mean[0] > 0.999).all()
    assert (mean.loc["stays"] > 0.999).all()
    assert (mean.loc["vanishes"][1:] == 0).all()
    gone = values[values["method"] == "vanishes"].set_index("step")["vanished"]
    assert not gone.loc[0].any() and gone.loc[1:].all()
    assert mean.loc["lmac_zs"].iloc[-1] < 0.99 and mean.loc["gradcam"].iloc[-1] < 0.9
    assert strip["maps"]["gradcam"].shape[0] == 1 + len(blocks)
    again, _ = randomisation.measure(make_study(domain, batch=1, gradcam=GradCAM))
    own = values[values["method"] == "gradcam"].sort_values(["step", "clip"])
    again = again.sort_values(["step", "clip"])
    np.testing.assert_allclose(again["SSIM"], own["SSIM"], atol=1e-3)


# ---- prompts ----


def test_right_and_wrong_prompts():
    similarity = torch.rand(200, 6)
    labels = torch.randint(6, (200,))
    chosen = prompts.choose_prompts(similarity, labels, wrong=3)
    assert torch.equal(chosen[:, :2], similarity.topk(2).indices)
    for row, label in zip(chosen.tolist(), labels.tolist(), strict=True):
        assert len(set(row)) == 5 and label not in row[2:]
    again = prompts.choose_prompts(similarity, labels, wrong=3)
    other = prompts.choose_prompts(similarity, labels, wrong=3, seed=1)
    assert torch.equal(again, chosen) and not torch.equal(other, chosen)


def test_no_wrong_prompt_is_a_right_one_where_there_are_few():
    similarity, labels = torch.rand(100, 10), torch.randint(10, (100,))
    chosen = prompts.choose_prompts(similarity, labels, wrong=8)
    assert chosen.shape == (100, 2 + 7)
    for row, label in zip(chosen.tolist(), labels.tolist(), strict=True):
        assert len(set(row)) == 9 and label not in row[2:]
    with pytest.raises(ConfigError, match="3 prompts: a wrong one needs at least four"):
        prompts.choose_prompts(similarity[:, :3], labels % 3)


@pytest.mark.parametrize("domain", ["stft", "mel"])
def test_prompt_test_of_constructed_explainers(make_study, domain):
    study = make_study(
        domain,
        follows=lambda _: Level(lambda s: (0.4 + 0.3 * s).clamp(0, 1)),
        opposes=lambda _: Level(lambda s: (0.4 - 0.3 * s).clamp(0, 1)),
        all=lambda _: Level(torch.ones_like),
        none=lambda _: Level(torch.zeros_like),
    )
    values = prompts.measure(study)
    by = dict(list(values.groupby("method")))
    assert prompts.correlation(by["follows"]) == pytest.approx(1, abs=1e-4)
    assert prompts.correlation(by["opposes"], "spearman") == pytest.approx(-1, abs=0.1)
    assert prompts.correlation(by["all"]) == prompts.correlation(by["none"]) == 0
    audible = values["clip"] != "silent"
    kept = values[audible].groupby("method")["energy"]
    assert kept.mean()["all"] == pytest.approx(1, abs=1e-4)
    assert kept.mean()["none"] == 0
    assert (values[~audible]["energy"] == 0).all()
    ones = by["all"]
    np.testing.assert_allclose(ones["after"], ones["similarity"], atol=1e-3)
    assert list(by["follows"]["prompt"]) == 3 * list(prompts.ROLES)
    follows = by["follows"].sort_values("similarity")
    assert follows["MM"].is_monotonic_increasing
    single = prompts.measure(make_study(domain, 1, **study.makers))
    single = single.sort_values(["method", "clip", "prompt"], ignore_index=True)
    values = values.sort_values(["method", "clip", "prompt"], ignore_index=True)
    pd.testing.assert_frame_equal(single, values, atol=1e-4)


# ---- training sets ----


def test_frechet_distance_of_known_gaussians():
    """Whitened draws have exactly the mean and the covariance that they are given."""
    draw = torch.randn(500, 6).double()
    draw -= draw.mean(0)
    factor = torch.linalg.cholesky(torch.cov(draw.T))
    white = torch.linalg.solve_triangular(factor, draw.T, upper=False).T
    scale = torch.tensor([1.0, 2.0, 3.0, 0.5, 1.0, 1.0])
    shift = torch.tensor([3.0, 0.0, 0.0, 4.0, 0.0, 0.0])
    distance = frechet_distance
    assert distance(white, white) == pytest.approx(0, abs=1e-9)
    assert distance(white, white + shift) == pytest.approx(25)
    # of commuting covariances: the squared distance of the standard deviations
    wide = white * scale + shift
    expected = 25 + (scale - 1).square().sum().item()
    assert distance(white, wide) == pytest.approx(expected)
    assert distance(wide, white) == pytest.approx(expected)


def test_frechet_distance_is_that_of_its_equation():
    from scipy.linalg import sqrtm

    one, other = torch.randn(40, 5), torch.randn(30, 5) @ torch.randn(5, 5) + 1
    a, b = one.double().numpy(), other.double().numpy()
    c1, c2 = np.cov(a.T), np.cov(b.T)
    gap = ((a.mean(0) - b.mean(0)) ** 2).sum()
    expected = gap + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert frechet_distance(one, other) == pytest.approx(expected)
    few = torch.randn(3, 5)  # fewer than dimensions: singular, and still defined
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)
