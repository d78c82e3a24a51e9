"""CLAP through transformers: what the library hears, and the same as laion-clap."""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from speechbrain_lmac.classifiers.hf import HFCLAP
from speechbrain_lmac.errors import CheckpointError, ConfigError
from speechbrain_lmac.testing import random_hf, random_laion, write_tokenizer

SECOND = 48000
PROMPTS = ["rain", "a dog barks at the door of an old house", "x"]


@pytest.fixture(scope="module")
def classifier():
    return random_hf()


def sound(length, batch=1):
    """Pulsed noise [B, N]."""
    generator = torch.Generator().manual_seed(0)
    waveform = 0.1 * torch.randn(batch, length, generator=generator)
    return waveform * (0.01 + (torch.linspace(0, 30, length).sin() > 0))


@torch.no_grad()
def librarys_own(classifier, waveform):
    """ClapFeatureExtractor with the checkpoints' settings, and get_audio_features."""
    from transformers import ClapFeatureExtractor

    extractor = ClapFeatureExtractor(
        frequency_min=50, frequency_max=14000, truncation="rand_trunc"
    )
    features = extractor(waveform[0].numpy(), sampling_rate=SECOND, return_tensors="pt")
    out = classifier.network.get_audio_features(features["input_features"].float())
    return F.normalize(getattr(out, "pooler_output", out), dim=-1)


@torch.no_grad()
def ours(classifier, waveform):
    return classifier.encode(classifier.stft(waveform).abs()).embedding


@pytest.mark.parametrize("length", [SECOND // 5, 3 * SECOND, 130001, 10 * SECOND])
def test_embedding_is_the_librarys(classifier, length):
    waveform = sound(length)
    expected = librarys_own(classifier, waveform)
    assert (ours(classifier, classifier.fill(waveform)) - expected).abs().max() < 1e-5
    assert (ours(classifier, sound(SECOND)) - expected).abs().max() > 1e-4


def test_embedding_of_a_longer_clip_is_the_librarys(classifier):
    part = classifier.fill(sound(13 * SECOND))
    expected = librarys_own(classifier, part)
    assert (ours(classifier, part) - expected).abs().max() < 1e-5


def test_mel_matrix_is_the_librarys(classifier):
    from transformers import ClapFeatureExtractor

    extractor = ClapFeatureExtractor(frequency_min=50, frequency_max=14000)
    theirs = torch.tensor(extractor.mel_filters_slaney).float()
    assert torch.equal(classifier.mel_filters, theirs)


@torch.no_grad()
def test_text_is_the_librarys(classifier):
    tokens = classifier.tokenizer(PROMPTS, padding=True, return_tensors="pt")
    out = classifier.network.get_text_features(
        input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
    )
    expected = F.normalize(getattr(out, "pooler_output", out), dim=-1)
    assert (classifier.embed_text(PROMPTS) - expected).abs().max() < 1e-5


RENAMED = {
    "audio_branch.bn0": "audio_model.audio_encoder.batch_norm",
    "audio_branch": "audio_model.audio_encoder",
    "text_branch": "text_model",
    "projection.0": "projection.linear1",
    "projection.2": "projection.linear2",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "attn.relative": "attention.self.relative",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


def converted(state):
    """Weights of laion-clap under the names of transformers."""
    out = {}
    for name, value in state.items():
        for old, new in RENAMED.items():
            name = name.replace(old, new)
        if "attn.qkv" in name:
            for part, piece in zip(
                ("query", "key", "value"), value.chunk(3), strict=True
            ):
                out[name.replace("attn.qkv", f"attention.self.{part}")] = piece
        elif "attn_mask" not in name:  # which transformers makes when it needs it
            out[name] = value
    return out


def test_the_same_network_as_laion_clap(tmp_path):
    from transformers import ClapConfig, ClapModel

    theirs = random_laion()
    text = theirs.arguments["text_config"]
    # laion-clap's RoBERTa has 1e-5, ClapTextConfig 1e-12 unless it is told
    network = ClapModel(ClapConfig(text_config=text | {"layer_norm_eps": 1e-5}))
    left = network.load_state_dict(converted(theirs.network.state_dict()), strict=False)
    assert not left.unexpected_keys
    buffers = {"position_ids", "token_type_ids", "logit_scale_t"}
    assert {name.split(".")[-1] for name in left.missing_keys} == buffers
    write_tokenizer(tmp_path)
    network.config.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    save_file(network.state_dict(), file, metadata={"format": "pt"})
    classifier = HFCLAP(tmp_path)
    with torch.no_grad():
        magnitude = classifier.stft(sound(2 * SECOND, batch=2)).abs()
        ours, other = classifier.encode(magnitude), theirs.encode(magnitude)
    for x, y in zip(ours.maps, other.maps, strict=True):
        assert (x - y).abs().max() < 1e-4 * y.abs().max()
    texts = classifier.embed_text(PROMPTS), theirs.embed_text(PROMPTS)
    assert (texts[0] - texts[1]).abs().max() < 1e-5
    similarity = ours.embedding @ texts[0].T - other.embedding @ texts[1].T
    assert similarity.abs().max() < 1e-5
    assert classifier.temperature == pytest.approx(theirs.temperature)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a ClapModel of a few weights."""
    from transformers import ClapConfig, ClapModel

    folder = tmp_path_factory.mktemp("clap")
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    text |= {"intermediate_size": 8, "vocab_size": write_tokenizer(folder)}
    audio = {"patch_embeds_hidden_size": 8, "hidden_size": 64, "depths": [1, 1, 1, 1]}
    audio["num_attention_heads"] = [1, 2, 4, 8]
    network = ClapModel(ClapConfig(text_config=text, audio_config=audio))
    network.config.save_pretrained(folder)
    file = folder / "model.safetensors"
    save_file(network.state_dict(), file, metadata={"format": "pt"})
    return folder


def copy(saved, folder):
    folder.mkdir()
    for file in saved.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_says_nothing_while_it_loads(saved, capfd):
    classifier = HFCLAP(saved)
    assert capfd.readouterr() == ("", "")
    assert classifier.map_channels == (8, 16, 32, 64)
    assert classifier.arguments["source"] == str(saved)
    (saved_weights,) = saved.glob("*.safetensors")
    expected = load_file(saved_weights)
    state = classifier.network.state_dict()
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_half_precision_is_heard_in_float32(saved, tmp_path):
    folder = copy(saved, tmp_path / "half")
    file = folder / "model.safetensors"
    state = {
        name: x.half() if x.is_floating_point() else x
        for name, x in load_file(file).items()
    }
    save_file(state, file, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float16"}))
    whole, half = HFCLAP(saved), HFCLAP(folder)
    waveform = sound(SECOND)
    assert (
        ours(half, waveform).dtype == half.embed_text(["rain"]).dtype == torch.float32
    )
    assert (ours(half, waveform) - ours(whole, waveform)).abs().max() < 0.02


def test_nobody_is_asked_to_run_a_strangers_code(saved, tmp_path, monkeypatch):
    folder = copy(saved, tmp_path / "strange")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "code.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('it ran')\n")
    monkeypatch.setattr("builtins.input", lambda *said: pytest.fail("it asks"))
    with pytest.raises(ConfigError, match=r"no config\.json of a known model"):
        HFCLAP(folder)


def spoil_config(folder, old, new):
    file = folder / "config.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def without(folder, name):
    file = folder / "model.safetensors"
    state = load_file(file)
    del state[name]
    save_file(state, file, metadata={"format": "pt"})


def cut(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:2000])


SPOILED = {
    "a CLAP with feature fusion": lambda folder: spoil_config(
        folder, '"enable_fusion": false', '"enable_fusion": true'
    ),
    "a bert, not a clap": lambda folder: (folder / "config.json").write_text(
        '{"model_type": "bert"}'
    ),
    "no config.json": lambda folder: (folder / "config.json").unlink(),
    "no model.safetensors": lambda folder: (folder / "model.safetensors").unlink(),
    "damaged weights": cut,
    "1 weights are missing .* audio_projection.linear1.weight": lambda folder: without(
        folder, "audio_projection.linear1.weight"
    ),
    "no tokenizer in it": lambda folder: (folder / "vocab.json").unlink(),
}


@pytest.mark.parametrize("message", SPOILED)
def test_errors_are_one_line(saved, tmp_path, message):
    folder = copy(saved, tmp_path / "clap")
    SPOILED[message](folder)
    with pytest.raises((ConfigError, CheckpointError), match=message) as error:
        HFCLAP(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", ["/no/such/folder", "folder"])
def test_no_such_folder(source):
    with pytest.raises(ConfigError, match=f"{source}: no such folder"):
        HFCLAP(source)


def test_offline(monkeypatch):
    """By ``hub.fetch``, which has a limit; from_pretrained would ask for long."""
    import transformers

    def refuse(*args, **kwargs):
        raise AssertionError("asks the hub its own way")

    monkeypatch.setattr(transformers.ClapModel, "from_pretrained", refuse)
    with pytest.raises(CheckpointError, match="the hub did not give it") as error:
        HFCLAP("laion/clap-htsat-unfused")
    assert "\n" not in str(error.value)
