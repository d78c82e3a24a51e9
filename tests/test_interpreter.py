"""From files and sentences to explanations: exact lengths, any clip, every fault."""

import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_lmac import LMACZSInterpreter, audio, checkpoint
from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.errors import (
    AudioInputError,
    CheckpointError,
    ConfigError,
)
from speechbrain_lmac.interpreter import check_device
from speechbrain_lmac.testing import random_classifier

PROMPTS = ["a dog barking", "rain"]
SETTINGS = {"masking_law": "log", "mask_floor_db": -68}
RATE = 16000


def force(model, value):
    """Makes all masks one constant."""

    def explainer(scene, text):
        shape = (len(scene.energies), len(text), *scene.energies.shape[1:])
        return torch.full(shape, float(value))

    model.explainer = explainer
    return model


def clip(seconds, seed=0):
    generator = torch.Generator().manual_seed(seed)
    length = round(seconds * RATE)
    tone = torch.sin(torch.arange(length) * 0.2)
    return 0.1 * torch.randn(length, generator=generator) + 0.3 * tone


def close(a, b, tolerance=1e-5):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= tolerance


# ---- lengths, identity, silence ----


@pytest.mark.parametrize("length", [1, 2, 400, 513, 15999, 79999, 80000, 80001, 200123])
def test_any_length_comes_back(model, length):
    wav = clip(length / RATE)
    (out,) = model.interpret_batch(wav[None], PROMPTS)
    frames = math.ceil(length / 320) + 1
    assert out.waveform.shape == out.removed.shape == (2, length)
    assert out.mask.shape == (2, 513, frames) and out.magnitude.shape == (513, frames)
    assert torch.equal(out.original, wav)
    for tensor in (out.waveform, out.removed, out.mask, out.magnitude):
        assert tensor.isfinite().all()
    assert out.mask.min() >= 0 and out.mask.max() <= 1
    assert out.prompts == PROMPTS and out.sample_rate == RATE


@pytest.mark.parametrize("seconds", [0.0123, 3.7, 5.0, 11.3])
def test_mask_of_ones_is_the_identity(model, seconds):
    wav = clip(seconds)
    (out,) = force(model, 1).interpret_batch(wav[None], PROMPTS)
    close(out.waveform, wav.expand(2, -1))
    assert out.removed.abs().max() == 0
    close(out.similarity.kept, out.similarity.before)
    close(out.similarity.heard, out.similarity.before)
    close(out.probabilities.heard, out.probabilities.before)
    close(out.energy_kept, torch.ones(2), 1e-4)


@pytest.mark.parametrize("seconds", [3.7, 11.3])
def test_mask_of_zeros_is_silence(model, seconds):
    (out,) = force(model, 0).interpret_batch(clip(seconds)[None], PROMPTS)
    assert out.waveform.abs().max() == 0 and out.energy_kept.max() == 0
    close(out.removed, out.original.expand(2, -1))
    close(out.similarity.removed, out.similarity.before)


def test_kept_and_removed_follow_the_law(model):
    """Written straight from the formula, on the clip's own spectrogram."""
    wav = clip(2)
    (out,) = model.interpret_batch(wav[None], PROMPTS)
    classifier = model.mods.classifier
    spectrum = classifier.stft(wav)
    floor = 256 * 10 ** (-68 / 20)
    for i in range(2):
        kept = floor * torch.expm1(out.mask[i] * torch.log1p(spectrum.abs() / floor))
        phase = torch.polar(torch.ones_like(kept), spectrum.angle())
        expected = classifier.stft.inverse(kept * phase, len(wav))
        close(out.waveform[i], expected)
    assert out.mask.std() > 0.05  # or this would show little


# ---- similarities ----


def test_similarities_of_a_short_clip(model):
    """Each against its definition: pad to the window, encode, compare."""
    wav = clip(3.1)
    (out,) = model.interpret_batch(wav[None], PROMPTS)
    classifier = model.mods.classifier
    text = classifier.embed_text(PROMPTS)

    def embed(waveform):
        padded = torch.nn.functional.pad(waveform, (0, 80000 - len(waveform)))
        return classifier.encode(classifier.stft(padded[None]).abs()).embedding[0]

    close(out.similarity.before, text @ embed(wav))
    for i in range(2):
        heard = embed(out.waveform[i])
        close(out.similarity.heard[i], text[i] @ heard)
        among = torch.softmax(classifier.temperature * text @ heard, 0)
        close(out.probabilities.heard[i], among[i])
    close(out.probabilities.before.sum(), torch.tensor(1.0))
    # the spectrogram as it was masked and its sound heard again are near
    close(out.similarity.kept, out.similarity.heard, 0.05)
    assert (out.similarity.removed - out.similarity.heard).abs().max() > 1e-3


def test_batch_equals_one_by_one(model):
    wavs = torch.stack([clip(2, seed) for seed in range(3)])
    together = model.interpret_batch(wavs, PROMPTS)
    for wav, out in zip(wavs, together, strict=True):
        (alone,) = model(wav[None], PROMPTS)
        close(out.waveform, alone.waveform)
        close(out.similarity.heard, alone.similarity.heard)


def test_prompts_do_not_see_each_other(model):
    wav = clip(2)[None]
    (together,) = model.interpret_batch(wav, ["rain", "a dog barking", "wind"])
    (alone,) = model.interpret_batch(wav, ["a dog barking"])
    close(together.mask[1], alone.mask[0])
    close(together.similarity.heard[1], alone.similarity.heard[0])
    assert (together.mask[0] - together.mask[1]).abs().max() > 1e-3


def test_a_window_of_any_length(model):
    """A classifier that was trained on clips of any length hears the whole."""
    model.mods.classifier.window_seconds = None
    (out,) = model.interpret_batch(clip(7.3)[None], PROMPTS)
    assert out.waveform.shape == (2, round(7.3 * RATE))
    close(
        force(model, 1).interpret_batch(clip(7.3)[None], "rain")[0].waveform[0],
        clip(7.3),
    )


# ---- files ----


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_file(model, tmp_path, rate, channels):
    path = tmp_path / "x.wav"
    samples = round(1.234 * rate)
    time = np.arange(samples) / rate
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, np.stack([tone] * channels, 1), rate)
    out = model.interpret_file(path, PROMPTS)
    length = math.ceil(samples * RATE / rate)
    assert out.original.shape == (length,) and out.source == str(path)
    spectrum = torch.fft.rfft(out.original).abs()
    assert abs(float(spectrum.argmax()) * RATE / length - 440) < 1


def test_one_prompt_may_be_given_as_it_is(model):
    wav = clip(1)[None]
    (out,) = model.interpret_batch(wav, "rain")
    assert out.prompts == ["rain"] and out.mask.shape[0] == 1


def test_classify_file(model, tmp_path):
    path = tmp_path / "x.wav"
    audio.write(path, clip(2), RATE)
    probabilities = model.classify_file(path, PROMPTS)
    close(probabilities, model.interpret_file(path, PROMPTS).probabilities.before)


# ---- bad input ----


@pytest.mark.parametrize("level", [0.0, 1e-5])
@pytest.mark.parametrize("seconds", [1, 8])
def test_silence_gives_an_empty_mask_and_a_warning(model, level, seconds):
    with pytest.warns(UserWarning, match="silent"):
        (out,) = model.interpret_batch(level * clip(seconds)[None], PROMPTS)
    assert out.mask.max() == 0 and out.waveform.abs().max() == 0
    for scores in (out.similarity, out.probabilities):
        assert all(values.isfinite().all() for values in vars(scores).values())
    assert out.energy_kept.isfinite().all()


def test_sound_gives_no_warning(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.interpret_batch(1e-3 * clip(1)[None], PROMPTS)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_samples_that_are_no_numbers(model, tmp_path, value):
    wav = clip(1)
    wav[100] = value
    with pytest.raises(AudioInputError, match="NaN"):
        model.interpret_batch(wav[None], PROMPTS)
    soundfile.write(tmp_path / "x.wav", wav.numpy(), RATE, subtype="FLOAT")
    with pytest.raises(AudioInputError, match=r"x\.wav"):
        model.interpret_file(tmp_path / "x.wav", PROMPTS)


@pytest.mark.parametrize("shape", [(16000,), (1, 0), (1, 1, 16000)])
def test_waveforms_of_another_shape(model, shape):
    with pytest.raises(AudioInputError, match="shape"):
        model.interpret_batch(torch.zeros(shape), PROMPTS)


def test_silence_is_classified_with_a_warning(model, tmp_path):
    audio.write(tmp_path / "x.wav", torch.zeros(RATE), RATE)
    with pytest.warns(UserWarning, match="silent, so this says nothing"):
        assert model.classify_file(tmp_path / "x.wav", PROMPTS).sum() > 0.99
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        audio.write(tmp_path / "y.wav", clip(1), RATE)
        model.classify_file(tmp_path / "y.wav", PROMPTS)


def test_samples_that_are_far_too_large(model):
    with pytest.raises(AudioInputError, match="far too large"):
        model.interpret_batch(1e30 * clip(1)[None], PROMPTS)


@pytest.mark.parametrize(
    "wavs",
    [
        (32767 * clip(1)[None]).to(torch.int16),  # whose full scale is not 1
        clip(1)[None].numpy(),
        [[0.0]],
        None,
    ],
)
def test_waveforms_that_are_no_floating_point_tensor(model, wavs):
    with pytest.raises(AudioInputError, match="give a torch tensor of floating-point"):
        model.interpret_batch(wavs, PROMPTS)


def test_prompts_may_come_from_a_generator(model):
    (out,) = model.interpret_batch(clip(1)[None], (p for p in PROMPTS))
    assert out.prompts == list(PROMPTS) and len(out.mask) == len(PROMPTS)


@pytest.mark.parametrize(
    "prompts", [[], "", None, ["rain", " \n"], ["rain", None], ["\udc80"]]
)
def test_prompts_that_say_nothing(model, tmp_path, prompts):
    with pytest.raises(ConfigError, match="prompt"):
        model.interpret_batch(clip(1)[None], prompts)
    with pytest.raises(ConfigError, match="prompt"):
        model.interpret_file(tmp_path / "there is none.wav", prompts)


# ---- from_hparams ----


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    root = tmp_path_factory.mktemp("exported")
    checkpoint.save_mini(random_classifier(), root / "classifier")
    classifier = Mini(root / "classifier")
    torch.manual_seed(0)
    decoder = MaskDecoder(classifier, width=16, fine_width=8)
    checkpoint.export(root / "model", decoder, classifier, SETTINGS)
    return root / "model"


def test_from_an_exported_folder(exported):
    loaded = LMACZSInterpreter.from_hparams(exported, run_opts={"device": "cpu"})
    assert not any(p.requires_grad for p in loaded.parameters())
    assert loaded.hparams.mask_floor_db == -68
    assert loaded.masking.floor == pytest.approx(256 * 10 ** (-68 / 20))
    parts = checkpoint.load(exported)
    modules = {"classifier": parts.classifier, "decoder": parts.decoder}
    same = LMACZSInterpreter(modules, SETTINGS, {"device": "cpu"})
    wav = clip(2)[None]
    (a,), (b,) = (m.interpret_batch(wav, PROMPTS) for m in (loaded, same))
    assert torch.equal(a.waveform, b.waveform)
    assert a.classifier == "mini"


def test_a_source_that_is_no_name():
    with pytest.raises(ConfigError, match="source None: give 'mini'"):
        LMACZSInterpreter.from_hparams(None)


@pytest.mark.parametrize("source", ["mimi", "./no/such/folder", "/no/folder", "a b/c"])
def test_unknown_source(source):
    with pytest.raises(ConfigError, match="no such folder; give 'mini'"):
        LMACZSInterpreter.from_hparams(source)


def test_hub_out_of_reach():
    with pytest.raises(CheckpointError, match="hub did not give it") as caught:
        LMACZSInterpreter.from_hparams("nobody/nothing", revision="abc")
    assert "\n" not in str(caught.value)


def test_hub_repository(exported, monkeypatch, tmp_path):
    asked = {}

    def snapshot_download(repository, **options):
        asked.update(options, repository=repository)
        return str(exported)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    LMACZSInterpreter.from_hparams("some/model", savedir=tmp_path, revision="1234")
    assert asked["repository"] == "some/model" and asked["revision"] == "1234"
    assert asked["local_dir"] == tmp_path
    files = ["hyperparams.yaml", "decoder.safetensors"]
    assert asked["allow_patterns"] == files


def test_malicious_folder_runs_nothing(tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "hyperparams.yaml").write_text(
        f"pretrainer: !apply:os.system ['touch {mark}']\n"
    )
    with pytest.raises(ConfigError, match="!apply:os"):
        LMACZSInterpreter.from_hparams(tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize("device", ["toaster", "cuda:99"])
def test_unknown_device(exported, device):
    with pytest.raises(ConfigError, match=device):
        LMACZSInterpreter.from_hparams(exported, run_opts={"device": device})


@pytest.mark.parametrize(
    ("device", "there", "remedy"),
    [
        ("toaster", False, "cpu"),
        ("cuda:0", False, "cpu"),
        ("cuda:99", True, "cpu or cuda:0"),
        ("cuda:0", True, "cpu"),
        (torch.device("cuda:0"), True, "cpu"),
    ],
)
def test_another_device_is_advised(monkeypatch, device, there, remedy):
    def refused(*args, **kwargs):
        raise RuntimeError("no such device")

    monkeypatch.setattr(torch, "empty", refused)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    with pytest.raises(ConfigError, match=f"'{device}' .*; give {remedy}$"):
        check_device(device)


def test_importing_the_package_is_light():
    code = (
        "import sys, speechbrain_lmac, speechbrain_lmac.cli\n"
        "heavy = {'torch', 'speechbrain', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from speechbrain_lmac import LMACZSInterpreter\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_else_is_in_the_package():
    import speechbrain_lmac

    with pytest.raises(AttributeError, match="nothing"):
        _ = speechbrain_lmac.nothing
