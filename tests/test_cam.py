"""Class activation maps against captum, and against the papers' equations in loops."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from speechbrain_lmac.classifiers.base import AudioEncoding
from speechbrain_lmac.explainers.base import hear
from speechbrain_lmac.explainers.gradcam import GradCAM
from speechbrain_lmac.explainers.gradcam_plusplus import GradCAMPlusPlus
from speechbrain_lmac.explainers.gscorecam import GScoreCAM
from speechbrain_lmac.explainers.memory import Memory
from speechbrain_lmac.explainers.scorecam import ScoreCAM, unit_range
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.spectrogram import band_interpolation
from speechbrain_lmac.testing import random_classifier

PROMPTS = ["a dog barking", "rain", "a church bell"]


@pytest.fixture(scope="module")
def classifier():
    return random_classifier()


@pytest.fixture(scope="module")
def text(classifier):
    return classifier.embed_text(PROMPTS)


@pytest.fixture(scope="module", params=["stft", "mel"])
def scene(request, classifier):
    draw = torch.Generator().manual_seed(0)
    waves = 0.1 * torch.randn(2, 8000, generator=draw)
    waves[1] *= torch.linspace(-3, 3, 8000).sin()
    return hear(classifier, classifier.stft(waves).abs(), request.param)


def slow_mask(classifier, scene, coarse):
    """One map [F', T'] after the ReLU to a mask: stretched, carried over, scaled."""
    mel = stretch(coarse, scene)
    bands = band_interpolation(classifier.mel_filters)
    mask = bands @ mel if scene.domain == "stft" else mel
    return mask / mask.max() if mask.max() > 0 else mask


def stretch(coarse, scene):
    size = scene.mel.shape[-2:]
    maps = torch.as_tensor(coarse, dtype=torch.float32)[None, None]
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)[0, 0]


def map_and_gradient(classifier, scene, clip, prompt, stage=-1):
    """A clip's map [C, F', T'] and the gradient of S there, in float64."""
    mel = scene.mel[clip : clip + 1].clone().requires_grad_()
    encoding = classifier.encode(mel, "mel")
    similarity = classifier.temperature * encoding.embedding[0] @ prompt
    (gradient,) = torch.autograd.grad(similarity, encoding.maps[stage])
    return [x[0].detach().double().numpy() for x in (encoding.maps[stage], gradient)]


class Wrapped(torch.nn.Module):
    """What captum wants: a module from spectrograms to scores."""

    def __init__(self, classifier, text):
        super().__init__()
        self.classifier, self.text = classifier, text

    def forward(self, mel):
        embedding = self.classifier.encode(mel, "mel").embedding
        return self.classifier.temperature * embedding @ self.text.T


@pytest.mark.parametrize("stage", [-1, 1])
def test_gradcam_is_captums(classifier, scene, text, stage):
    from captum.attr import LayerGradCam

    layer = LayerGradCam(Wrapped(classifier, text), classifier.audio.stages[stage])
    masks = GradCAM(classifier, stage)(scene, text)
    for p in range(len(text)):
        mel = scene.mel.clone().requires_grad_()
        maps = layer.attribute(mel, target=p, relu_attributions=True)
        for b in range(len(scene)):
            expected = slow_mask(classifier, scene, maps[b, 0].detach())
            assert expected.max() > 0
            assert (masks[b, p] - expected).abs().max() < 1e-5


def test_gradcam_plus_plus_is_the_equations(classifier, scene, text):
    masks = GradCAMPlusPlus(classifier)(scene, text)
    for b in range(len(scene)):
        for p, prompt in enumerate(text):
            A, g = map_and_gradient(classifier, scene, b, prompt)
            e = math.exp(classifier.temperature * scene.encoding.embedding[b] @ prompt)
            coarse = np.zeros(A.shape[1:])
            for k in range(len(A)):
                weight = 0.0
                for i, j in np.ndindex(A[k].shape):
                    # Eq. 19 with the derivatives of Y = exp(S)
                    second, third = e * g[k, i, j] ** 2, e * g[k, i, j] ** 3
                    if second == 0:
                        continue
                    alpha = second / (2 * second + A[k].sum() * third)
                    weight += alpha * max(0.0, e * g[k, i, j])
                coarse += weight * A[k]
            expected = slow_mask(classifier, scene, np.maximum(coarse, 0))
            assert expected.max() > 0
            assert (masks[b, p] - expected).abs().max() < 1e-5


def slow_score(classifier, scene, masking, clip, prompt, channel):
    """Similarity of the prompt to the clip behind one channel."""
    mask = stretch(channel, scene)
    mask = (mask - mask.min()) / (mask.max() - mask.min())
    if scene.domain == "stft":
        mask = band_interpolation(classifier.mel_filters) @ mask
    kept = masking.keep(mask, scene.energies[clip])
    embedding = classifier.encode(kept[None], scene.domain).embedding[0]
    return float(classifier.temperature * embedding @ prompt)


def slow_scorecam(classifier, scene, masking, clip, prompt, channels):
    """The mask by some of the channels, one after the other."""
    maps = scene.encoding.maps[-1][clip]
    scores = {
        k: slow_score(classifier, scene, masking, clip, prompt, maps[k])
        for k in channels
        if maps[k].max() > maps[k].min()
    }
    total = sum(math.exp(s) for s in scores.values())
    coarse = sum(math.exp(s) / total * maps[k].double() for k, s in scores.items())
    return slow_mask(classifier, scene, coarse.clamp(min=0))


@pytest.mark.parametrize("law", ["log", "linear"])
def test_scorecam_is_the_algorithm(classifier, scene, text, law):
    masking = Masking.for_classifier(classifier, scene.domain, law)
    masks = ScoreCAM(classifier, law=law, pairs_per_pass=7)(scene, text)
    channels = range(classifier.map_channels[-1])
    for b in range(len(scene)):
        for p, prompt in enumerate(text):
            expected = slow_scorecam(classifier, scene, masking, b, prompt, channels)
            assert (masks[b, p] - expected).abs().max() < 1e-5


@pytest.fixture
def encoded(classifier, monkeypatch):
    """How many spectrograms each pass of the encoder takes."""
    passes, encode = [], type(classifier).encode

    def counted(self, energies, domain="stft"):
        passes.append(len(energies))
        return encode(self, energies, domain)

    monkeypatch.setattr(type(classifier), "encode", counted)
    return passes


def with_maps(scene, change):
    """The scene with its last maps changed, the given ones as they were."""
    *others, last = scene.encoding.maps
    last = last.clone()
    change(last)
    encoding = AudioEncoding(scene.encoding.embedding, (*others, last))
    return replace(scene, encoding=encoding, memory=Memory())


def varying(scene):
    """Numbers of each clip's channels that are not constant."""
    maps = scene.encoding.maps[-1].flatten(2)
    return [(m.amax(-1) > m.amin(-1)).nonzero().flatten().tolist() for m in maps]


@pytest.mark.parametrize("rows", [64, 3])
def test_scorecam_leaves_constant_channels_out(classifier, scene, text, encoded, rows):
    """Their weight is 0, and they are not heard; each clip has its own."""

    def change(maps):
        maps[:, 3] = 2 * maps.amax()
        maps[0, 5:8] = 0

    changed = with_maps(scene, change)
    channels = varying(changed)
    assert len(channels[0]) < len(channels[1]) < classifier.map_channels[-1]
    masks = ScoreCAM(classifier, pairs_per_pass=rows)(changed, text)
    assert sum(encoded) == sum(map(len, channels))
    masking = Masking.for_classifier(classifier, scene.domain)
    for b, p in np.ndindex(2, len(text)):
        expected = slow_scorecam(classifier, changed, masking, b, text[p], channels[b])
        assert (masks[b, p] - expected).abs().max() < 1e-5


def test_gscorecam_leaves_constant_channels_out(classifier, scene, text, encoded):
    def change(maps):
        maps[1, ::2] = 1

    changed = with_maps(scene, change)
    masks = GScoreCAM(classifier, top=1.0)(changed, text)
    # each clip once more, for its gradient
    assert sum(encoded) == sum(1 + len(text) * len(own) for own in varying(changed))
    assert (masks - ScoreCAM(classifier)(changed, text)).abs().max() < 1e-5


@pytest.mark.parametrize("method", [ScoreCAM, GScoreCAM])
def test_constant_maps_have_a_constant_mask(classifier, scene, text, encoded, method):
    """In one clip of two, and in both, where nothing is left to hear."""
    one = method(classifier)(with_maps(scene, lambda maps: maps[0].fill_(2)), text)
    other = method(classifier)(scene, text)
    assert (one[0] - 1).abs().max() < 1e-5
    assert (one[1] - other[1]).abs().max() < 1e-5
    encoded.clear()
    both = method(classifier)(with_maps(scene, lambda maps: maps.fill_(2)), text)
    assert (both - 1).abs().max() < 1e-5
    assert encoded == ([] if method is ScoreCAM else [2])  # its gradient


@pytest.mark.parametrize("top", [0.25, 0.01])
def test_gscorecam_is_scorecam_of_the_steepest_channels(classifier, scene, text, top):
    masking = Masking.for_classifier(classifier, scene.domain)
    masks = GScoreCAM(classifier, top=top, pairs_per_pass=5)(scene, text)
    count = {0.25: 4, 0.01: 1}[top]  # of 16 channels
    selections = set()
    for b in range(len(scene)):
        for p, prompt in enumerate(text):
            _, g = map_and_gradient(classifier, scene, b, prompt)
            steepest = np.argsort([-channel.mean() for channel in g])[:count]
            selections.add(tuple(sorted(steepest)))
            expected = slow_scorecam(classifier, scene, masking, b, prompt, steepest)
            assert (masks[b, p] - expected).abs().max() < 1e-5
    assert len(selections) > 1


def test_all_channels_selected_is_scorecam(classifier, scene, text):
    every = GScoreCAM(classifier, top=1.0)(scene, text)
    assert (every - ScoreCAM(classifier)(scene, text)).abs().max() < 1e-5


def test_unit_range():
    maps = torch.tensor([[[-1.0, 0.0, 3.0]], [[5.0, 5.0, 5.0]]])
    assert unit_range(maps).tolist() == [[[0.0, 0.25, 1.0]], [[0.0, 0.0, 0.0]]]


def test_signed_maps_have_finite_weights(classifier):
    """A transformer's maps have both signs; the denominator must not vanish."""
    maps = torch.full((1, 1, 1, 2), -1.0)
    gradients = torch.ones(1, 1, 1, 1, 2)  # 2 + g sum A = 0 without the cut
    weights = GradCAMPlusPlus(classifier).weights(maps, gradients)
    assert weights.tolist() == [[[1.0]]]
