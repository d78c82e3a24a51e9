"""LAION's CLAP hears and reads what laion-clap's own networks hear and read."""

import hashlib
import importlib
import os
import sys
import types
import warnings

import pytest
import torch
import torch.nn.functional as F

from speechbrain_lmac import audio
from speechbrain_lmac.classifiers import laion, laion_checkpoint
from speechbrain_lmac.classifiers.clap import Window
from speechbrain_lmac.classifiers.laion import LaionCLAP
from speechbrain_lmac.classifiers.laion_shapes import ARCHITECTURES, shapes
from speechbrain_lmac.data.pipeline import ClipReader
from speechbrain_lmac.errors import CheckpointError, ConfigError
from speechbrain_lmac.testing import random_laion, write_tokenizer

SECOND = 48000


@pytest.fixture(scope="module")
def tiny():
    return random_laion()


@pytest.fixture(scope="module")
def branch(tiny):
    return librarys_branch(tiny)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def both(request, tiny, branch):
    """A classifier, laion-clap's network with its weights, and another sound."""
    if request.param == "HTSAT-tiny":
        classifier = tiny
    else:
        classifier = random_laion(request.param)
        branch = librarys_branch(classifier)
    return classifier, branch, ours(classifier, sound(SECOND, seed=9))


def sound(length, edges=0, seed=0):
    """Pulsed noise [1, N], silent for so many samples at both ends."""
    generator = torch.Generator().manual_seed(seed)
    waveform = 0.1 * torch.randn(1, length, generator=generator)
    waveform = waveform * (0.01 + (torch.linspace(0, 30, length).sin() > 0))
    waveform[:, :edges] = 0
    waveform[:, length - edges :] = 0
    return waveform


def librarys_branch(classifier):
    """laion-clap's audio network, with its front end and a classifier's weights."""
    branch = laion._audio_branch(classifier.arguments["amodel"]).eval()
    own = classifier.network.audio_branch.state_dict()
    left = branch.load_state_dict(own, strict=False)
    assert not left.unexpected_keys
    assert all(name.startswith(laion._UNUSED) for name in left.missing_keys)
    return branch


@torch.no_grad()
def librarys_own(classifier, branch, waveform):
    """Ten seconds [1, 480000] through laion-clap's forward, from the waveform on."""
    heard = branch({"waveform": waveform}, device="cpu")["embedding"]
    return F.normalize(classifier.network.audio_projection(heard), dim=-1)


def repeatpad(waveform, window=480000):
    """laion_clap.training.data.get_audio_features, for clips of up to ten seconds."""
    repeated = waveform.repeat(1, int(window / waveform.shape[-1]))
    return F.pad(repeated, (0, window - repeated.shape[-1]))


@torch.no_grad()
def ours(classifier, waveform):
    return classifier.encode(classifier.stft(waveform).abs()).embedding


# a fifth of a second, of no whole number of hops, as long as the window, and longer
@pytest.mark.parametrize("length", [SECOND // 5, 130001, 10 * SECOND, 13 * SECOND])
def test_embedding_is_the_librarys(both, length):
    classifier, branch, other = both
    waveform = sound(length)
    if length > 10 * SECOND:  # the part that is stated, as the library might take it
        start = 480 * Window(length // 480 + 1, classifier.seed).start
        heard = waveform[:, start : start + 10 * SECOND]
    else:
        heard = repeatpad(waveform)
    expected = librarys_own(classifier, branch, heard)
    assert (ours(classifier, classifier.fill(waveform)) - expected).abs().max() < 1e-5
    assert (other - expected).abs().max() > 1e-3


def test_training_hears_what_the_library_does(tiny, branch, tmp_path):
    """A clip of three seconds, read for a batch of ten-second ones."""
    audio.write(tmp_path / "a.wav", sound(3 * SECOND)[0], SECOND)
    reader = ClipReader(SECOND, 10, keep=False, repeat=tiny.repeats_short_clips)
    waveform = audio.read(tmp_path / "a.wav")[None]
    expected = librarys_own(tiny, branch, repeatpad(waveform))
    read = reader(tmp_path / "a.wav")[None]
    assert torch.equal(read, tiny.fill(waveform))
    assert (ours(tiny, read) - expected).abs().max() < 1e-5


def test_embedding_from_the_clips_own_frames(tiny, branch):
    """Repeated as a spectrogram: the same where the seams are silent, else close."""
    silent = sound(3 * SECOND, edges=1024)
    expected = librarys_own(tiny, branch, repeatpad(silent))
    assert (ours(tiny, silent) - expected).abs().max() < 1e-5
    loud = sound(3 * SECOND)
    expected = librarys_own(tiny, branch, repeatpad(loud))
    difference = (ours(tiny, loud) - expected).abs().max()
    assert 1e-5 < difference < 5e-3


def test_embedding_from_the_clips_own_frames_when_longer(tiny, branch):
    waveform = sound(12 * SECOND)
    part = tiny.fill(waveform)
    start = int(
        (waveform.unfold(1, 480000, 480) == part[:, None]).all(-1).int().argmax()
    )
    for edge in (480 * start, 480 * start + 480000):
        waveform[:, max(0, edge - 1024) : edge + 1024] = 0
    expected = librarys_own(tiny, branch, tiny.fill(waveform))
    assert (ours(tiny, waveform) - expected).abs().max() < 1e-5


def test_mel_matrix_is_the_librarys(tiny, branch):
    assert torch.equal(tiny.mel_filters, branch.logmel_extractor.melW)


def test_text_is_the_librarys(tiny):
    """``CLAP.encode_text`` of laion_clap, for "roberta"."""
    prompts = ["rain", "a dog barks at the door of an old house"]
    tokens = tiny.tokenizer(
        prompts,
        padding="max_length",
        truncation=True,
        max_length=77,
        return_tensors="pt",
    )
    with torch.no_grad():
        pooled = tiny.network.text_branch(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        )["pooler_output"]
        expected = F.normalize(tiny.network.text_projection(pooled), dim=-1)
    assert (tiny.embed_text(prompts) - expected).abs().max() < 1e-5


def test_a_checkpoint_fills_every_weight(tmp_path, monkeypatch):
    """All that the file has, but for the front end and heads that are not used."""
    write_tokenizer(tmp_path)
    state = {
        name: torch.tensor(float(number)).expand(shape)
        for number, (name, shape) in enumerate(shapes("HTSAT-tiny").items())
    }
    state["logit_scale_a"] = torch.tensor(2.5)
    monkeypatch.setattr(laion, "read_checkpoint", lambda *given: state)
    classifier = LaionCLAP("HTSAT-tiny", tmp_path / "trained.pt", tmp_path)
    own = classifier.network.state_dict()
    for name, value in own.items():
        assert torch.equal(value, state[name].to(value.dtype)), name
    left = {name for name in state.keys() - own.keys() if "branch" in name}
    unused = tuple(f"audio_branch.{name}" for name in laion._UNUSED)
    assert all(name.startswith(unused) for name in left)
    heads = {name.split(".")[0] for name in state.keys() - own.keys() - left}
    assert heads == {"audio_transform", "text_transform", "logit_scale_t"}
    melw = state["audio_branch.logmel_extractor.melW"]
    assert torch.equal(classifier.mel_filters, melw)
    assert classifier.temperature == pytest.approx(torch.tensor(2.5).exp().item())
    assert classifier.name == "laion trained"
    assert classifier.arguments["checkpoint"] == str(tmp_path / "trained.pt")


@pytest.mark.parametrize("published", [True, False])
def test_another_content_than_the_checksum_says(tmp_path, monkeypatch, published):
    """Found out before anything is read or built."""
    write_tokenizer(tmp_path)
    monkeypatch.setattr(torch, "load", None)
    monkeypatch.setattr(laion, "_build", None)
    name, given = "mine.pt", {"sha256": "0" * 64}
    if published:
        name, given = "630k-audioset-best.pt", {}
    path = tmp_path / name
    path.write_bytes(b"not what was published")
    with pytest.raises(CheckpointError) as error:
        LaionCLAP("HTSAT-tiny", path, tmp_path, **given)
    said = str(error.value)
    assert said.startswith(f"{path}: SHA-256 ") and "\n" not in said
    assert "download it again, or rename it if it is your own" in said


def test_a_link_keeps_its_name(tmp_path, monkeypatch):
    """The hub's cache holds contents under their checksum, and links with names."""
    write_tokenizer(tmp_path)
    blob, link = tmp_path / "8053c9", tmp_path / "630k-audioset-best.pt"
    blob.write_bytes(b"a checkpoint")
    link.symlink_to(blob)
    digest = hashlib.sha256(blob.read_bytes()).hexdigest()
    known = {link.name: ("HTSAT-tiny", digest)}
    monkeypatch.setattr(laion_checkpoint, "PUBLISHED", known)
    zeros = {n: torch.zeros(()).expand(s) for n, s in shapes("HTSAT-tiny").items()}
    monkeypatch.setattr(laion_checkpoint, "_read_pickle", lambda path: zeros)
    classifier = LaionCLAP("HTSAT-tiny", link, tmp_path)
    assert classifier.name == "laion 630k-audioset-best"
    assert classifier.arguments["checkpoint"] == str(link)
    assert classifier.arguments["sha256"] is None


def test_seed_of_random_weights(tiny):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    again = random_laion().network.state_dict()
    assert torch.equal(torch.rand(1), expected)
    own = tiny.network.state_dict()
    assert all(torch.equal(own[name], again[name]) for name in own)
    other = random_laion(seed=1).network.state_dict()
    weight = "audio_branch.patch_embed.proj.weight"
    assert not torch.equal(own[weight], other[weight])


def test_import_leaves_nothing_behind(monkeypatch, capfd):
    for name in ("h5py", "torchlibrosa.stft", "torchlibrosa.augmentation"):
        importlib.import_module(name)  # what laion-clap itself stands on
    for name in [name for name in sys.modules if name.startswith(laion._PACKAGE)]:
        monkeypatch.delitem(sys.modules, name)
    path, environment = list(sys.path), dict(os.environ)
    modules = set(sys.modules)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for name in ("htsat", "pann_model"):
            laion._clap_module(name)
    new = {name.split(".")[0] for name in sys.modules.keys() - modules}
    assert new == {"speechbrain_lmac"}
    assert not {"laion_clap", "clap_module", "torchvision"} & set(sys.modules)
    assert sys.path == path and dict(os.environ) == environment
    assert capfd.readouterr().out == "" and not [w for w in said if "clap" in str(w)]


def test_no_warning_of_meshgrid():
    torch.set_warn_always(True)  # and not once in a process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            laion._audio_branch("HTSAT-tiny")
    finally:
        torch.set_warn_always(False)


def test_torchvision_that_is_there_stays(monkeypatch):
    there = types.ModuleType("torchvision")
    there.__spec__ = laion.importlib.machinery.ModuleSpec("torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision", there)
    with laion._torchvision():
        assert sys.modules["torchvision"] is there
        assert "torchvision.ops" not in sys.modules
    assert sys.modules["torchvision"] is there


def test_roberta_is_built_without_the_hub(monkeypatch):
    import transformers

    def refuse(*args, **kwargs):
        raise AssertionError("asks for pretrained weights")

    monkeypatch.setattr(transformers.RobertaModel, "from_pretrained", refuse)
    network, _ = laion._build("HTSAT-tiny", {"num_hidden_layers": 1, "vocab_size": 10})
    assert network["text_branch"].config.max_position_embeddings == 514
    assert network["text_branch"].config.layer_norm_eps == 1e-5


def test_errors_are_one_line(monkeypatch, tmp_path):
    write_tokenizer(tmp_path)
    cases = {
        "amodel 'HTSAT-huge' is unknown": {"amodel": "HTSAT-huge"},
        "no such file": {"checkpoint": tmp_path / "none.pt", "tokenizer": tmp_path},
        "no tokenizer in it": {"tokenizer": tmp_path / ".."},
    }
    for message, arguments in cases.items():
        with pytest.raises((ConfigError, CheckpointError), match=message) as error:
            LaionCLAP(**arguments)
        assert "\n" not in str(error.value)
    find = laion.importlib.util.find_spec
    monkeypatch.setattr(
        laion.importlib.util,
        "find_spec",
        lambda name: None if name == "laion_clap" else find(name),
    )
    with pytest.raises(ConfigError, match=r"pip install 'speechbrain-lmac\[laion\]'"):
        LaionCLAP(tokenizer=tmp_path)
