"""SmoothGrad and Integrated Gradients against captum and against loops."""

from dataclasses import replace

import pytest
import torch

from speechbrain_lmac.explainers.base import hear, own_prompts
from speechbrain_lmac.explainers.integrated_gradients import IntegratedGradients
from speechbrain_lmac.explainers.smoothgrad import SmoothGrad
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.testing import random_classifier


@pytest.fixture(scope="module")
def classifier():
    return random_classifier()


@pytest.fixture(scope="module")
def text(classifier):
    return classifier.embed_text(["a dog barking", "rain"])


@pytest.fixture(scope="module", params=["stft", "mel"])
def scene(request, classifier):
    draw = torch.Generator().manual_seed(0)
    waves = 0.1 * torch.randn(2, 4000, generator=draw)
    waves[1, :2000] = 0  # digital silence: gradients at zeros
    return hear(classifier, classifier.stft(waves).abs(), request.param)


def scaled(classifier, scene, prompt, energies):
    embedding = classifier.encode(energies, scene.domain).embedding
    return classifier.temperature * embedding @ prompt


def to_unit(saliency):
    """The positive part of a map over its maximum."""
    saliency = saliency.clamp(min=0)
    return saliency / saliency.amax((-2, -1), keepdim=True)


@pytest.mark.parametrize("law", ["log", "linear"])
@pytest.mark.parametrize("pairs_per_pass", [3, 64])
def test_integrated_gradients_are_captums(classifier, scene, text, law, pairs_per_pass):
    """Both clips at once, on log1p of the energies or on the energies themselves."""
    from captum.attr import IntegratedGradients as Captum

    floor = Masking.for_classifier(classifier, scene.domain).floor
    x = scene.energies
    inputs = torch.log1p(x / floor) if law == "log" else x

    def heard(inputs, prompt):
        energies = floor * torch.expm1(inputs) if law == "log" else inputs
        return scaled(classifier, scene, prompt, energies)

    explain = IntegratedGradients(
        classifier, steps=10, law=law, pairs_per_pass=pairs_per_pass
    )
    masks = explain(scene, text)
    for p, prompt in enumerate(text):
        direct = Captum(lambda x, t=prompt: heard(x, t)).attribute(inputs, n_steps=10)
        assert (masks[:, p] - to_unit(direct)).abs().max() < 1e-5


def test_integrated_gradients_are_complete(classifier, scene, text):
    """They sum to the similarity less that of silence."""
    explain = IntegratedGradients(classifier, steps=200)
    maps = explain.saliency(scene, own_prompts(scene, text))
    for p, prompt in enumerate(text):
        before, after = (
            scaled(classifier, scene, prompt, x)
            for x in (0 * scene.energies, scene.energies)
        )
        total = maps[:, p].sum((-2, -1))
        assert (total - (after - before)).abs().max() < 0.02 * maps.abs().sum() / 4


@pytest.mark.parametrize("pairs_per_pass", [3, 64])
def test_smoothgrad_is_the_mean_of_gradients(classifier, scene, text, pairs_per_pass):
    """The same noise in however many passes."""
    samples, noise, seed = 4, 0.2, 7
    masking = Masking.for_classifier(classifier, scene.domain)
    explain = SmoothGrad(
        classifier, samples, noise, seed, pairs_per_pass=pairs_per_pass
    )
    masks = explain(scene, text)
    for b, energies in enumerate(scene.energies):
        levels = torch.log1p(energies / masking.floor)
        lots = torch.Generator().manual_seed(seed)
        draws = [
            noise * torch.randn(levels.shape, generator=lots) for _ in range(samples)
        ]
        for p, prompt in enumerate(text):
            total = 0
            for draw in draws:
                noisy = (levels + levels.max() * draw).requires_grad_()
                kept = masking.floor * torch.expm1(noisy.clamp(min=0))
                scaled(classifier, scene, prompt, kept[None]).sum().backward()
                total = total + noisy.grad
            expected = to_unit((total / samples).abs())
            assert (masks[b, p] - expected).abs().max() < 1e-4


def test_smoothgrad_has_a_seed(classifier, scene, text):
    one, same, other = (
        SmoothGrad(classifier, samples=2, seed=seed)(scene, text) for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert (one - other).abs().max() > 0.01


@pytest.mark.parametrize("method", [SmoothGrad, IntegratedGradients])
def test_clip_too_faint_for_float32(classifier, scene, text, method):
    faint = replace(scene, energies=1e-30 * scene.energies)
    settings = {"samples": 2} if method is SmoothGrad else {"steps": 2}
    masks = method(classifier, **settings)(faint, text)
    assert masks.isfinite().all() and masks.amax() <= 1
