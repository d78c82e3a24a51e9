"""From files and sentences to explanations: exact lengths, any clip, every fault."""

import json
import math
import subprocess
import sys
import warnings

import matplotlib.image
import numpy as np
import pytest
import soundfile
import torch

from speechbrain_lmac import LMACZSInterpreter, audio, checkpoint, interpreter
from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.errors import (
    AudioInputError,
    CheckpointError,
    ConfigError,
    UserError,
)
from speechbrain_lmac.testing import random_classifier

PROMPTS = ["a dog barking", "rain"]
SETTINGS = {"masking_domain": "stft", "masking_law": "log", "mask_floor_db": -68}
RATE = 16000


def make(seed=0):
    """An interpreter with random weights whose masks differ from bin to bin."""
    classifier = random_classifier(seed)
    torch.manual_seed(seed)
    decoder = MaskDecoder(classifier, width=16, fine_width=8)
    with torch.no_grad():
        decoder.out.weight.mul_(20)
    modules = {"classifier": classifier, "decoder": decoder}
    return LMACZSInterpreter(modules, SETTINGS, {"device": "cpu"})


@pytest.fixture
def model():
    return make()


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


def test_similarity_of_a_long_clip_is_that_of_the_mean(model):
    wav = clip(12)
    (out,) = model.interpret_batch(wav[None], PROMPTS)
    classifier = model.mods.classifier
    pieces = audio.split(wav, 80000, 16000)
    vectors = torch.stack(
        [classifier.encode(classifier.stft(x[None]).abs()).embedding[0] for x in pieces]
    )
    mean = vectors.mean(0)
    expected = classifier.embed_text(PROMPTS) @ (mean / mean.norm())
    close(out.similarity.before, expected)


def test_a_long_clip_is_masked_window_by_window(model):
    wav = clip(9) * torch.linspace(0.01, 1, 9 * RATE)  # windows at 0 and 4 s differ
    (out,) = model.interpret_batch(wav[None], PROMPTS)
    classifier = model.mods.classifier
    for name, act in (("kept", model.masking.keep), ("removed", model.masking.remove)):
        vectors = []
        for start in (0, 200):
            piece = wav[start * 320 :][:80000]
            part = out.mask[..., start : start + 251]
            masked = act(part, classifier.stft(piece).abs())
            vectors.append(classifier.encode(masked).embedding)
        mean = sum(vectors) / 2
        mean = mean / mean.norm(dim=1, keepdim=True)
        expected = (mean * classifier.embed_text(PROMPTS)).sum(1)
        close(getattr(out.similarity, name), expected, 2e-5)


def test_masks_of_a_long_clip_are_those_of_its_windows(model):
    wav = clip(9)  # windows at 0 and 4 s, so that seconds 4 to 5 are in both
    (out,) = model.interpret_batch(wav[None], PROMPTS)
    (first,) = model.interpret_batch(wav[None, :80000], PROMPTS)
    (last,) = model.interpret_batch(wav[None, -80000:], PROMPTS)
    close(out.mask[..., :199], first.mask[..., :199])
    close(out.mask[..., -199:], last.mask[..., -199:])
    both = torch.stack([first.mask[..., 200:251], last.mask[..., :51]])
    shared = out.mask[..., 200:251]
    assert (both.amin(0) - 1e-5 <= shared).all() and (
        shared <= both.amax(0) + 1e-5
    ).all()


def test_batches_of_windows_change_nothing(model, monkeypatch):
    wav = clip(17)
    (together,) = model.interpret_batch(wav[None], PROMPTS)
    monkeypatch.setattr(interpreter, "BATCH", 1)
    (apart,) = model.interpret_batch(wav[None], PROMPTS)
    close(together.mask, apart.mask)
    close(together.similarity.kept, apart.similarity.kept)


@pytest.mark.parametrize("seconds", [0.1, 5, 30, 600])
def test_memory_does_not_grow_with_the_clip(model, tmp_path, seconds):
    """The classifier never gets more than BATCH windows, however long the clip."""
    sizes = []
    encode = model.mods.classifier.encode

    def spy(energies, domain="stft"):
        sizes.append(tuple(energies.shape))
        return encode(energies, domain)

    model.mods.classifier.encode = spy
    path, wav = tmp_path / "long clip.wav", clip(seconds)
    audio.write(path, wav, RATE)
    out = model.interpret_file(path, PROMPTS[:1])
    windows = max(1, math.ceil((seconds - 5) / 4) + 1)
    assert max(size[0] for size in sizes) == min(windows, interpreter.BATCH)
    # the clip, to be explained; what is kept and removed; the sound of it
    assert sum(size[0] for size in sizes) == 4 * windows
    assert {size[-1] for size in sizes} == {251}
    assert out.waveform.shape == (1, len(wav)) and out.waveform.isfinite().all()
    # the last window is explained like the first
    assert (out.mask[0, :, 0] != out.mask[0, :, -1]).any()


@pytest.mark.parametrize("samples", [100, 16000, 23 * 320, 50001, 96001])
def test_playing_in_blocks_changes_nothing(model, monkeypatch, samples):
    wav = clip(samples / RATE)
    whole = model.interpret_batch(wav[None], PROMPTS)[0]
    monkeypatch.setattr(interpreter, "BLOCK", 23)
    blocks, sizes = model.interpret_batch(wav[None], PROMPTS)[0], []
    close(blocks.waveform, whole.waveform)
    close(blocks.removed, whole.removed)
    close(blocks.magnitude, whole.magnitude, 1e-4)
    inverse = model.mods.classifier.stft.inverse

    def spy(spectrum, length):
        sizes.append(spectrum.shape[-1])
        return inverse(spectrum, length)

    monkeypatch.setattr(model.mods.classifier.stft, "inverse", spy)
    model.interpret_batch(wav[None], PROMPTS)
    assert max(sizes) <= 23 + 2 * 8 + 1


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


@pytest.mark.parametrize(
    "prompts", [[], "", ["rain", " \n"], ["rain", None], ["\udc80"]]
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


# ---- Explanation.save and .plot ----

HOSTILE = [
    "../../etc/passwd",
    "rain",
    "Rain!",
    "日本語の音",
    "Öl & Wasser: $x^2$ $",
    "word " * 60,
    "CON",
    "a\nb\x00c",
]


@pytest.fixture
def explanation(model):
    return model.interpret_batch(clip(1.5)[None], HOSTILE)[0]


def test_saved_files(explanation, tmp_path):
    folder = tmp_path / "new" / "folder"
    summary = explanation.save(folder)
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert [e["prompt"] for e in summary["explanations"]] == HOSTILE
    written = {"summary.json", "original.wav"}
    for i, entry in enumerate(summary["explanations"]):
        files = entry["files"]
        written |= set(files.values())
        close(audio.read(folder / files["waveform"]), explanation.waveform[i], 1e-4)
        close(audio.read(folder / files["removed"]), explanation.removed[i], 1e-4)
        assert matplotlib.image.imread(folder / files["picture"]).std() > 0.05
        assert entry["mask_mean"] == pytest.approx(float(explanation.mask[i].mean()))
        heard = float(explanation.similarity.heard[i])
        assert entry["similarity"]["heard"] == pytest.approx(heard)
        energy = explanation.waveform[i].square().sum()
        share = float(energy / explanation.original.square().sum())
        assert entry["energy_kept"] == pytest.approx(share, abs=1e-6)
    assert {p.name for p in folder.iterdir()} == written
    assert len(written) == 2 + 3 * len(HOSTILE)
    assert all(len(name) < 80 and name.isascii() for name in written)
    assert summary["duration_seconds"] == 1.5
    assert list(tmp_path.rglob("*")).__len__() == 2 + len(written)  # nothing elsewhere


def test_saving_again_replaces_only_what_was_saved(model, tmp_path):
    model.interpret_batch(clip(1)[None], "rain")[0].save(tmp_path)
    (other,) = model.interpret_batch(clip(1, seed=5)[None], "rain")
    other.save(tmp_path)
    close(audio.read(tmp_path / "original.wav"), other.original, 1e-4)


@pytest.mark.parametrize("name", ["original.wav", "02-rain.wav", "summary.json"])
def test_files_of_others_are_never_replaced(explanation, tmp_path, name):
    file = tmp_path / name
    file.write_text("mine")
    with pytest.raises(ConfigError, match=name):
        explanation.save(tmp_path)
    assert file.read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_folder_that_cannot_be_written(explanation, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another folder"):
        explanation.save(tmp_path / "file" / "inside")


def test_silence_is_saved_and_drawn(model, tmp_path):
    with pytest.warns(UserWarning, match="silent"):
        (out,) = model.interpret_batch(torch.zeros(1, 8000), PROMPTS)
    summary = out.save(tmp_path)
    assert [e["energy_kept"] for e in summary["explanations"]] == [0, 0]
    json.dumps(summary, allow_nan=False)


def test_plot(explanation):
    figure = explanation.plot()
    panels = [a for a in figure.axes if a.images and a.get_title()]
    assert len(panels) == 2 * len(HOSTILE)
    assert panels[-1].get_xlabel() == "time (s)"
    assert panels[0].get_ylabel() == "frequency (kHz)"
    left, right, bottom, top = panels[0].images[0].get_extent()
    assert (left, right, bottom, top) == (0, 1.5, 0, 8)
    mask = panels[3].images[0].get_array()
    assert np.allclose(mask, explanation.mask[1].numpy())
    alone = explanation.plot(1)
    assert len([a for a in alone.axes if a.get_title()]) == 2
    assert (
        "matplotlib.pyplot" not in sys.modules
        or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_plot_of_a_long_clip_is_thinned(model):
    (out,) = force(model, 0.5).interpret_batch(clip(60)[None], "rain")
    columns = out.plot().axes[0].images[0].get_array().shape[1]
    assert 1000 < columns <= 2000
