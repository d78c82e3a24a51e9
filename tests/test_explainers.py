"""One contract for every explainer; one joins by a line in ``EXPLAINERS``."""

from functools import partial

import pytest
import torch

from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.explainers import controls
from speechbrain_lmac.explainers.base import Scene, hear
from speechbrain_lmac.explainers.gradcam import GradCAM
from speechbrain_lmac.explainers.gradcam_plusplus import GradCAMPlusPlus
from speechbrain_lmac.explainers.gscorecam import GScoreCAM
from speechbrain_lmac.explainers.integrated_gradients import IntegratedGradients
from speechbrain_lmac.explainers.lmac_zs import LMACZS
from speechbrain_lmac.explainers.saliency import to_masks
from speechbrain_lmac.explainers.scorecam import ScoreCAM
from speechbrain_lmac.explainers.smoothgrad import SmoothGrad
from speechbrain_lmac.testing import random_classifier, random_laion
from speechbrain_lmac.weights import fingerprint

PROMPTS = ["a dog barking", "rain"]
SALIENCY = {
    "gradcam": GradCAM,
    "gradcam, first stage": partial(GradCAM, stage=0),
    "gradcam++": GradCAMPlusPlus,
    "scorecam": ScoreCAM,
    "gscorecam": partial(GScoreCAM, top=0.3),
    "smoothgrad": partial(SmoothGrad, samples=3),
    "integrated_gradients": partial(IntegratedGradients, steps=4),
}
CONTROLS = {
    "control_ones": lambda classifier: controls.AllOnes(),
    "control_constant": lambda classifier: controls.ConstantMask(),
    "control_random": lambda classifier: controls.RandomMask(),
    "control_other": lambda classifier: controls.OtherClip(),
    "control_loudest": lambda classifier: controls.LoudestBins(),
    "control_ideal": controls.IdealMask,
}
EXPLAINERS = {
    "lmac_zs": lambda classifier: LMACZS(MaskDecoder(classifier, 8, 8, groups=2)),
    **SALIENCY,
    **CONTROLS,
}


@pytest.fixture(scope="module")
def classifier():
    return random_classifier()


@pytest.fixture(scope="module")
def text(classifier):
    return classifier.embed_text(PROMPTS)


@pytest.fixture(params=["stft", "mel"])
def domain(request):
    return request.param


@pytest.fixture(params=EXPLAINERS)
def explain(request, classifier):
    return EXPLAINERS[request.param](classifier)


@pytest.fixture(params=SALIENCY)
def explain_by_map(request, classifier):
    return SALIENCY[request.param](classifier)


def hum(clips=3, samples=6400):
    """Waveforms [clips, samples] of tones and noise, each louder than the last."""
    draw = torch.Generator().manual_seed(1)
    noise = torch.randn(clips, samples, generator=draw)
    pitch = torch.arange(1, clips + 1)[:, None] * torch.arange(samples) / 20
    return (pitch.sin() + 0.3 * noise) * torch.logspace(-3, -0.5, clips)[:, None]


def listen(classifier, waves, domain, prompts=2):
    """A scene with everything known that a control may ask for."""
    scene = hear(classifier, classifier.stft(waves).abs(), domain)
    draw = torch.Generator().manual_seed(2)
    shape = (len(waves), prompts, *scene.energies.shape[-2:])
    scene.known = {
        "reference": torch.rand(shape, generator=draw) ** 4,
        "other": torch.rand(shape, generator=draw) ** 2,
        "sources": 2 * torch.rand(shape, generator=draw) * scene.energies[:, None],
    }
    return scene


def part(scene, clips, prompts=slice(None)):
    """Some clips of a scene, and what is known of some prompts."""
    return Scene(
        scene.energies[clips],
        scene.mel[clips],
        scene.encoding[clips],
        scene.domain,
        {name: value[clips, prompts] for name, value in scene.known.items()},
    )


def given_to(scene, text):
    return scene.energies, scene.mel, *scene.encoding.maps, text


def are_masks(masks, scene, prompts=2):
    assert masks.shape == (len(scene), prompts, *scene.energies.shape[-2:])
    assert masks.isfinite().all()
    assert masks.amin() >= 0 and masks.amax() <= 1
    assert not masks.requires_grad
    return masks


def close(a, b):
    assert a.shape == b.shape
    assert (a - b).abs().max() < 1e-5


# ---- the contract ----


def test_masks(classifier, text, explain, domain):
    scene = listen(classifier, hum(), domain)
    masks = are_masks(explain(scene, text), scene)
    assert (masks.amax((-2, -1)) > 0).all()
    assert torch.equal(explain(scene, text), masks)


def test_prompts_matter(classifier, text, explain_by_map, domain):
    masks = explain_by_map(listen(classifier, hum(), domain), text)
    assert ((masks[:, 0] - masks[:, 1]).abs().amax((-2, -1)) > 1e-4).all()


def test_batch_size_changes_nothing(classifier, text, explain, domain):
    scene = listen(classifier, hum(), domain)
    together = explain(scene, text)
    for clip in range(len(scene)):
        row = slice(clip, clip + 1)
        close(explain(part(scene, row), text), together[row])


def test_prompts_do_not_know_of_each_other(classifier, text, explain, domain):
    scene = listen(classifier, hum(), domain)
    together = explain(scene, text)
    for prompt in range(len(text)):
        row = slice(prompt, prompt + 1)
        alone = explain(part(scene, slice(None), row), text[row])
        close(alone, together[:, row])


def test_each_clip_may_have_prompts_of_its_own(classifier, text, explain, domain):
    scene = listen(classifier, hum(2), domain)
    own = torch.stack([text, text.flip(0)])
    masks = explain(scene, own)
    for clip in range(2):
        row = slice(clip, clip + 1)
        close(explain(part(scene, row), own[clip]), masks[row])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradient_around_it(classifier, text, explain, domain, mode):
    expected = explain(listen(classifier, hum(), domain), text)
    with mode():
        close(explain(listen(classifier, hum(), domain), text), expected)


def test_everything_is_left_as_found(classifier, text, explain, domain):
    def hooks():
        names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
        return sum(len(getattr(m, n)) for m in classifier.modules() for n in names)

    scene = listen(classifier, hum(), domain)
    before = fingerprint(classifier), hooks(), torch.get_rng_state().tolist()
    given = [x.clone() for x in given_to(scene, text)]
    explain(scene, text)
    assert (fingerprint(classifier), hooks(), torch.get_rng_state().tolist()) == before
    assert all(
        torch.equal(a, b) for a, b in zip(given, given_to(scene, text), strict=True)
    )
    assert torch.is_grad_enabled()
    assert not any(m.training for m in classifier.modules())
    for tensor in (*classifier.parameters(), *given_to(scene, text)):
        assert not tensor.requires_grad and tensor.grad is None


# ---- clips and prompts at the edge ----


def test_opposite_prompt(classifier, explain, domain):
    scene = listen(classifier, hum(1), domain, prompts=1)
    are_masks(explain(scene, -scene.encoding.embedding), scene, prompts=1)


@pytest.mark.parametrize("samples", [1, 400, 3200])
def test_short_clip(classifier, text, explain, domain, samples):
    scene = listen(classifier, hum(2, samples), domain)
    are_masks(explain(scene, text), scene)


def test_silent_clip(classifier, text, explain, domain):
    waves = hum(2)
    alone = explain(listen(classifier, waves, domain), text)
    waves[1] = 0
    scene = listen(classifier, waves, domain)
    masks = are_masks(explain(scene, text), scene)
    close(masks[0], alone[0])


def test_maps_of_silence_are_dark(classifier, text, explain_by_map, domain):
    assert not explain_by_map(listen(classifier, 0 * hum(), domain), text).any()


# ---- a transformer, with maps of both signs ----


# the same with fewer passes of a large encoder: gScoreCAM has Score-CAM's, for less
ANY_BACKEND = EXPLAINERS | {
    "gscorecam": partial(GScoreCAM, top=0.005),
    "smoothgrad": partial(SmoothGrad, samples=2),
    "integrated_gradients": partial(IntegratedGradients, steps=2),
}
del ANY_BACKEND["scorecam"]


@pytest.fixture(scope="module")
def transformer():
    return random_laion()


@pytest.mark.parametrize("make", ANY_BACKEND.values(), ids=ANY_BACKEND)
def test_any_backend(transformer, make, domain):
    scene = listen(transformer, hum(1, 9600), domain, prompts=1)
    text = transformer.embed_text(PROMPTS[:1])
    assert are_masks(make(transformer)(scene, text), scene, prompts=1).any()


# ---- from maps to masks ----


MAPS = torch.tensor([[[[-3.0, 4.0]], [[1.0, 0.0]], [[-1.0, 0.0]]]])


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("pair", [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]),
        ("prompts", [[0.0, 1.0], [0.25, 0.0], [0.0, 0.0]]),
        (8, [[0.0, 0.5], [0.125, 0.0], [0.0, 0.0]]),
        (0.5, [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]),
    ],
)
def test_to_masks(scale, expected):
    masks = to_masks(MAPS, torch.ones(1, 1, 2), scale)
    assert masks.squeeze(2).tolist() == [expected]
    assert not to_masks(MAPS, torch.zeros(1, 1, 2), scale).any()


def test_scale_reaches_the_masks(classifier, text, explain_by_map, domain):
    scene = listen(classifier, hum(), domain)
    of_pair = explain_by_map(scene, text).amax((-2, -1))
    explain_by_map.scale = "prompts"
    of_prompts = explain_by_map(scene, text).amax((-2, -1))
    assert (of_pair - 1).abs().max() < 1e-6
    assert (of_prompts.amax(1) - 1).abs().max() < 1e-6
    assert (of_prompts.amin(1) < 1).all()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (partial(GradCAM, scale="clip"), "scale of masks 'clip'"),
        (partial(GradCAM, scale=0), "scale of masks '0'"),
        (partial(GradCAM, stage=4), "stage 4"),
        (partial(GScoreCAM, top=0), "share of channels 0"),
        (partial(SmoothGrad, law="cubic"), "'cubic'"),
    ],
)
def test_settings_that_do_not_exist(classifier, make, match):
    with pytest.raises(ConfigError, match=match) as error:
        make(classifier)
    assert "\n" not in str(error.value)
