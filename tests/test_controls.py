"""Controls: what they match, what they know, and what they ask for."""

import pytest
import torch

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.explainers import controls
from speechbrain_lmac.explainers.base import hear
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.testing import random_classifier

CLIPS, PROMPTS = 2, 3


@pytest.fixture(scope="module")
def classifier():
    return random_classifier()


@pytest.fixture(scope="module")
def text(classifier):
    return classifier.embed_text(["a dog barking", "rain", "wind"])


@pytest.fixture(params=["stft", "mel"])
def scene(request, classifier):
    waves = 0.1 * torch.randn(CLIPS, 4000)
    scene = hear(classifier, classifier.stft(waves).abs(), request.param)
    strength = torch.rand(CLIPS, PROMPTS, 1, 1)
    noise = torch.rand(CLIPS, PROMPTS, *scene.energies.shape[-2:])
    scene.known = {"reference": strength * noise, "other": noise}
    return scene


def means(masks):
    return masks.mean((-2, -1))


def test_all_ones(scene, text):
    assert (controls.AllOnes()(scene, text) == 1).all()


def test_constant_has_the_mean_of_each_mask(scene, text):
    masks = controls.ConstantMask()(scene, text)
    assert (masks == masks[..., :1, :1]).all()
    assert torch.allclose(means(masks), means(scene.known["reference"]))


@pytest.mark.parametrize("control", [controls.RandomMask(3), controls.LoudestBins()])
def test_as_many_bins_as_give_the_mean(scene, text, control):
    masks = control(scene, text)
    assert ((masks == 0) | (masks == 1)).all()
    bins = masks[0, 0].numel()
    expected = (means(scene.known["reference"]) * bins).round()
    assert torch.equal(masks.sum((-2, -1)), expected)
    for mean, value in ((0.0, 0), (1.0, 1)):
        scene.known["reference"] = torch.full_like(masks, mean)
        assert (control(scene, text) == value).all()


def test_random_bins_do_not_follow_the_clip(scene, text):
    scene.known["reference"] = torch.full_like(scene.known["reference"], 0.5)
    masks = controls.RandomMask(0)(scene, text)
    assert (masks == masks[0, 0]).all()
    half = masks[0, 0].shape[-1] // 2
    assert abs(masks[0, 0, :, :half].mean() - 0.5) < 0.1
    assert (masks != controls.RandomMask(1)(scene, text)).any()


def test_loudest_bins_are_louder_than_the_rest(scene, text):
    masks = controls.LoudestBins()(scene, text).bool()
    for clip in range(CLIPS):
        for prompt in range(PROMPTS):
            chosen = masks[clip, prompt]
            energies = scene.energies[clip]
            assert energies[chosen].min() >= energies[~chosen].max()


def test_mask_of_another_clip(scene, text):
    assert controls.OtherClip()(scene, text) is scene.known["other"]


@pytest.mark.parametrize("law", ["log", "linear"])
def test_ideal_mask_leaves_the_source(classifier, scene, text, law):
    mixture = scene.energies.clone()
    mixture[:, 0] = 0  # bins that are silent
    scene.energies = mixture
    mixture = mixture.unsqueeze(1)
    sources = 1.5 * torch.rand(CLIPS, PROMPTS, 1, 1) * mixture
    sources[:, 0] = 0
    scene.known["sources"] = sources
    masks = controls.IdealMask(classifier, law)(scene, text)
    masking = Masking.for_classifier(classifier, scene.domain, law)
    kept = masking.keep(masks, mixture)
    least = torch.minimum(sources, mixture)
    assert (kept - least).abs().max() < 1e-5 * mixture.max()
    assert not masks[:, 0].any() and not masks[..., 0, :].any()


@pytest.mark.parametrize(
    ("control", "name"),
    [
        (lambda c: controls.ConstantMask(), "reference"),
        (lambda c: controls.RandomMask(), "reference"),
        (lambda c: controls.LoudestBins(), "reference"),
        (lambda c: controls.OtherClip(), "other"),
        (controls.IdealMask, "sources"),
    ],
)
@pytest.mark.parametrize("known", [{}, None, "shape"])
def test_what_is_not_known_is_named(classifier, scene, text, control, name, known):
    scene.known = known or {name: None}
    if known == "shape":
        scene.known = {name: torch.ones(CLIPS, PROMPTS, 2, 2)}
    with pytest.raises(ConfigError, match=name) as error:
        control(classifier)(scene, text)
    assert "\n" not in str(error.value)
