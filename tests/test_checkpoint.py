"""Weights on disk: read back as written, and every fault named in one line."""

import hashlib
import json
import shutil

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from speechbrain_lmac import checkpoint, safe_yaml, weights
from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.errors import CheckpointError, ConfigError
from speechbrain_lmac.testing import random_classifier

SETTINGS = {"masking_law": "log", "mask_floor_db": -68}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A classifier's folder and an exported one; tests that damage them copy them."""
    root = tmp_path_factory.mktemp("exported")
    checkpoint.save_mini(random_classifier(), root / "classifier")
    classifier = Mini(root / "classifier")
    torch.manual_seed(1)
    decoder = MaskDecoder(classifier, width=16, fine_width=8, groups=2)
    checkpoint.export(root / "model", decoder, classifier, SETTINGS)
    return root


@pytest.fixture
def copied(exported, tmp_path):
    """A copy of both folders, the exported one pointing at the copied classifier."""
    root = tmp_path / "copy"
    shutil.copytree(exported, root)
    file = root / "model" / "hyperparams.yaml"
    file.write_text(file.read_text().replace(str(exported), str(root)))
    return root


def refusal(kind, call, *arguments):
    """The message of an error: one line with a remedy."""
    with pytest.raises(kind) as caught:
        call(*arguments)
    message = str(caught.value)
    assert ";" in message and "\n" not in message
    return message


# ---- fingerprint ----


def test_fingerprint_knows_names_shapes_and_values():
    a, b = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    b.load_state_dict(a.state_dict())
    assert weights.fingerprint(a) == weights.fingerprint(b)
    with torch.no_grad():
        b.weight[0, 0] = torch.nextafter(b.weight[0, 0], torch.tensor(9.0))
    turned = torch.nn.Linear(3, 2)
    turned.weight.data, turned.bias.data = a.weight.data.reshape(2, 3), a.bias.data
    renamed = torch.nn.Sequential(a)
    prints = {weights.fingerprint(m) for m in (a, b, turned, renamed)}
    assert len(prints) == 4


# ---- the classifier's folder ----


def test_mini_is_read_back(exported):
    written, read = random_classifier(), Mini(exported / "classifier")
    assert read.settings["audio"]["embedding_dim"] == 32
    assert read.temperature == written.temperature
    for name, value in read.state_dict().items():
        expected = written.state_dict()[name]
        assert value.dtype == expected.dtype, name
        assert torch.equal(value, expected.half().to(value.dtype)), name
    prompts = ["a dog barking", "rain"]
    difference = read.embed_text(prompts) - written.embed_text(prompts)
    assert difference.abs().max() < 5e-3
    assert not any(p.requires_grad for p in read.parameters()) and not read.training


def test_mini_twice_gives_the_same_bytes(exported, tmp_path):
    checkpoint.save_mini(Mini(exported / "classifier"), tmp_path)
    for name in ("classifier.json", "classifier.safetensors", "SHA256SUMS"):
        assert (tmp_path / name).read_bytes() == (
            exported / "classifier" / name
        ).read_bytes()


def test_checksums_are_those_of_sha256sum(exported):
    for line in (exported / "classifier" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        data = (exported / "classifier" / name).read_bytes()
        assert digest == hashlib.sha256(data).hexdigest()


def test_values_beyond_half_precision_survive(tmp_path):
    classifier = random_classifier()
    classifier.audio.norm.running_var.fill_(1e6)
    checkpoint.save_mini(classifier, tmp_path)
    assert Mini(tmp_path).audio.norm.running_var.item() == 1e6


@pytest.mark.parametrize(
    "name", ["classifier.json", "classifier.safetensors", "vocabulary.model"]
)
@pytest.mark.parametrize("fault", ["missing", "cut", "flipped"])
def test_faults_of_a_classifier(copied, name, fault):
    file = copied / "classifier" / name
    damage(file, fault)
    assert str(file) in refusal(CheckpointError, Mini, copied / "classifier")


def test_faults_of_the_checksums(copied):
    file = copied / "classifier" / "SHA256SUMS"
    file.write_text("nothing of use")
    assert str(file) in refusal(CheckpointError, Mini, copied / "classifier")
    file.unlink()
    assert str(file) in refusal(CheckpointError, Mini, copied / "classifier")
    assert "nowhere" in refusal(CheckpointError, Mini, copied / "nowhere")


def damage(file, fault):
    data = bytearray(file.read_bytes())
    if fault == "missing":
        file.unlink()
    elif fault == "cut":
        file.write_bytes(data[: len(data) // 2])
    else:
        data[-1] ^= 1
        file.write_bytes(data)


# ---- the exported folder ----


def test_export_is_read_back(exported):
    classifier, decoder, settings = checkpoint.load(exported / "model")
    assert settings == SETTINGS
    torch.manual_seed(1)
    expected = MaskDecoder(random_classifier(), width=16, fine_width=8, groups=2)
    assert decoder.arguments == expected.arguments and not decoder.training
    for name, value in decoder.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, expected.state_dict()[name].half().float()), name
    original = Mini(exported / "classifier")
    assert weights.fingerprint(classifier) == weights.fingerprint(original)


def test_export_twice_gives_the_same_bytes(exported, tmp_path):
    parts = checkpoint.load(exported / "model")
    checkpoint.export(tmp_path, parts.decoder, parts.classifier, parts.settings)
    for name in ("decoder.safetensors", "hyperparams.yaml"):
        again, before = tmp_path / name, exported / "model" / name
        assert again.read_bytes() == before.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "decoder.safetensors",
        "hyperparams.yaml",
    ]


def test_export_says_what_it_is(exported):
    with safe_open(exported / "model" / "decoder.safetensors", "pt") as file:
        about = json.loads(file.metadata()["speechbrain_lmac"])
        assert file.get_tensor("out.weight").dtype == torch.float16
    classifier = Mini(exported / "classifier")
    assert about["classifier"] == weights.fingerprint(classifier)
    assert about["version"]


@pytest.mark.parametrize("about", ["{oops", "[1]", "{}"])
def test_metadata_that_says_nothing(exported, tmp_path, about):
    copy = shutil.copytree(exported / "model", tmp_path / "model")
    state = load_file(copy / "decoder.safetensors")
    save_file(state, copy / "decoder.safetensors", {"speechbrain_lmac": about})
    with pytest.raises(CheckpointError, match=r"decoder\.safetensors: damaged"):
        checkpoint.load(copy)


def test_export_wants_its_settings(exported, tmp_path):
    parts = checkpoint.load(exported / "model")
    settings = {"mask_floor": -68}
    with pytest.raises(ConfigError, match="mask_floor_db"):
        checkpoint.export(tmp_path, parts.decoder, parts.classifier, settings)
    assert not list(tmp_path.iterdir())


def test_hyperpyyaml_builds_the_same(exported):
    text = (exported / "model" / "hyperparams.yaml").read_text()
    theirs = load_hyperpyyaml(text)
    ours = safe_yaml.read(exported / "model" / "hyperparams.yaml")
    assert list(theirs) == list(ours)
    assert {k: theirs[k] for k in SETTINGS} == {k: ours[k] for k in SETTINGS}
    for key in ("classifier", "decoder"):
        assert type(theirs[key]) is type(ours[key])
    assert theirs["decoder"].arguments == ours["decoder"].arguments


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("decoder.safetensors", "missing"),
        ("decoder.safetensors", "cut"),
        ("decoder.safetensors", "flipped"),
        ("hyperparams.yaml", "missing"),
        ("hyperparams.yaml", "cut"),
    ],
)
def test_faults_of_an_export(copied, name, fault):
    file = copied / "model" / name
    damage(file, fault)
    kind = (CheckpointError, ConfigError)
    assert str(file) in refusal(kind, checkpoint.load, copied / "model")


def test_keys_of_an_export(copied):
    file = copied / "model" / "hyperparams.yaml"
    good = file.read_text()
    file.write_text(good + "learning_rate: 3\n")
    assert "learning_rate" in refusal(ConfigError, checkpoint.load, file.parent)
    file.write_text(good.replace("masking_law:", "masking_rule:"))
    assert "masking_law" in refusal(ConfigError, checkpoint.load, file.parent)
    file.write_text("\n".join(f"{k}: 1" for k in ("classifier", "decoder", *SETTINGS)))
    assert "classifier" in refusal(ConfigError, checkpoint.load, file.parent)


@pytest.mark.parametrize(
    ("good", "bad", "remedy"),
    [
        ('masking_law: "log"', "masking_law: cubic", "choose one of"),
        ("mask_floor_db: -68", "mask_floor_db: 3", "give a number of dB"),
    ],
)
def test_settings_of_an_export(copied, good, bad, remedy):
    file = copied / "model" / "hyperparams.yaml"
    file.write_text(file.read_text().replace(good, bad))
    message = refusal(ConfigError, checkpoint.load, file.parent)
    assert message.startswith(f"{file}: ") and remedy in message


def test_another_classifier_is_refused(copied):
    checkpoint.save_mini(random_classifier(seed=7), copied / "classifier")
    message = refusal(CheckpointError, checkpoint.load, copied / "model")
    assert "decoder.safetensors" in message and "another classifier" in message


def test_other_shapes_are_refused(copied):
    file = copied / "model" / "hyperparams.yaml"
    file.write_text(file.read_text().replace("width: 16", "width: 32"))
    message = refusal(CheckpointError, checkpoint.load, copied / "model")
    assert "decoder.safetensors" in message and "another shape" in message


def test_missing_weights_are_named():
    module = torch.nn.Linear(2, 3)
    state = {"bias": torch.zeros(3)}
    message = refusal(CheckpointError, weights.fill, module, state, "x.safetensors")
    assert "x.safetensors" in message and "weight" in message


def test_failed_write_leaves_what_was_there(exported, tmp_path, monkeypatch):
    parts = checkpoint.load(exported / "model")
    folder = tmp_path / "model"
    checkpoint.export(folder, parts.decoder, parts.classifier, parts.settings)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with torch.no_grad():
        parts.decoder.out.bias.add_(1)

    def full(handle):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="full"):
        checkpoint.export(folder, parts.decoder, parts.classifier, parts.settings)
    assert before == {p.name: p.read_bytes() for p in folder.iterdir()}
