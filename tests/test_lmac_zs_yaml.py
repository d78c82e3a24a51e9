"""The yaml of LAION's CLAP trains on captioned clips, here with random weights."""

import json
import math
import re
from pathlib import Path

import pytest
import speechbrain as sb
import torch

from speechbrain_lmac import (
    LMACZSInterpreter,
    audio,
    checkpoint,
    settings,
    training,
    weights,
)
from speechbrain_lmac.classifiers.laion import LaionCLAP
from speechbrain_lmac.data import clotho, synth
from speechbrain_lmac.data.manifests import captions, read_manifest
from speechbrain_lmac.mixing import SceneObjective
from speechbrain_lmac.pairing import PaperObjective
from speechbrain_lmac.testing import random_classifier, write_tokenizer

YAML = Path(__file__).resolve().parents[1] / "hparams" / "lmac_zs.yaml"
SOUNDS = ["rain", "siren", "clock tick", "helicopter"]
SAID = ["$5: {}", "{} | again", "there is {}", "{} outside", "a {}"]
SHORT = {
    "clip_seconds": 0.5,
    "decoder": "{width: 16, fine_width: 8}",
    "number_of_epochs": 1,
    "train_dataloader_options": "{batch_size: 2}",
    "bank_size": 3,
}


def write_clips(folder, split):
    """A split of Clotho with one clip of each sound."""
    lines = [",".join(["file_name", *clotho.CAPTIONS])]
    for seed, name in enumerate(SOUNDS):
        sound = synth.synthesise(name, seed, 1.0, 22050)
        audio.write(folder / split / f"{name} {split}.wav", sound, 22050)
        said = [s.format(f"{name}, {split}").replace(",", ";") for s in SAID]
        lines.append(f"{name} {split}.wav," + ",".join(said))
    (folder / f"clotho_captions_{split}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two splits of Clotho, a fold of ESC-50, a tokenizer, a tiny classifier."""
    folder = tmp_path_factory.mktemp("data")
    for split in ("development", "validation"):
        write_clips(folder / "Clotho", split)
    table = ["filename,fold,category"]
    for seed, name in enumerate(SOUNDS[:2]):
        sound = synth.synthesise(name, 10 + seed, 1.0, 44100)
        audio.write(folder / "ESC-50" / "audio" / f"1-{seed}.wav", sound, 44100)
        table.append(f"1-{seed}.wav,1,{name}")
    (folder / "ESC-50" / "meta").mkdir()
    (folder / "ESC-50" / "meta" / "esc50.csv").write_text("\n".join(table) + "\n")
    (folder / "tokenizer").mkdir()
    write_tokenizer(folder / "tokenizer")
    checkpoint.save_mini(random_classifier(), folder / "mini")
    return folder


def arguments(yaml, **given):
    return [str(yaml), *(f"--{name}={value}" for name, value in given.items())]


def with_classifier(line, folder):
    """The yaml with another classifier, in the place that it says."""
    start, end = r"^clap_checkpoint:", r"^(?=# From the Hugging Face hub)"
    text, found = re.subn(
        f"{start}.*?{end}", f"{line}\n", YAML.read_text(), flags=re.M | re.S
    )
    assert found == 1
    (folder / "other.yaml").write_text(text)
    return folder / "other.yaml"


def test_laion_trains_and_explains(data, tmp_path, brains):
    """Two steps of the true audio network, validated on ESC-50's classes."""
    text = {
        "vocab_size": len(json.loads((data / "tokenizer/vocab.json").read_text())),
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    given = arguments(
        YAML,
        clotho_folder=data / "Clotho",
        esc50_folder=data / "ESC-50",
        clap_checkpoint="null",  # random weights
        tokenizer_folder=data / "tokenizer",
        classifier=f"{{text_config: {text}}}",
        output_folder=tmp_path / "run",
        **SHORT,
    )
    assert training.run(given) == 0
    (brain,) = brains
    assert brain.optimizer_step == 2
    assert isinstance(brain.hparams.objective, PaperObjective)
    (line,) = (tmp_path / "run" / "train_log.txt").read_text().splitlines()
    logged = dict(re.findall(r"((?:train|valid) \w+): ([-+.\w]+)", line))
    assert all(math.isfinite(float(value)) for value in logged.values())
    assert {"train match", "train sparsity"} <= logged.keys()
    bank = brain.sentences[sb.Stage.VALID]
    assert list(bank.captions) == SOUNDS[:2]
    assert bank.templates == ["this is the sound of {}"]
    assert brain.sentences[sb.Stage.TRAIN].templates == ["{}"]

    interpreter = LMACZSInterpreter.from_hparams(str(tmp_path / "run" / "export"))
    classifier = interpreter.mods.classifier
    assert isinstance(classifier, LaionCLAP)
    ours = brain.hparams.classifier
    assert weights.fingerprint(classifier) == weights.fingerprint(ours)
    clip = data / "ESC-50" / "audio" / "1-0.wav"
    out = interpreter.interpret_file(clip, ["rain", "a dog barking"])
    assert out.waveform.shape == (2, 48000)
    assert 0 < (out.mask[0] - out.mask[1]).abs().max() < 1


def test_any_loss_on_clotho_alone(data, tmp_path, brains):
    """With a classifier of milliseconds; validation has captions of its own."""
    yaml = with_classifier(
        "classifier: !new:speechbrain_lmac.classifiers.mini.Mini\n"
        f"    folder: {data / 'mini'}",
        tmp_path,
    )
    given = arguments(
        yaml,
        clotho_folder=data / "Clotho",
        training_set="CT",
        loss="default",
        output_folder=tmp_path / "run",
        **SHORT,
    )
    assert training.run(given) == 0
    (brain,) = brains
    assert isinstance(brain.hparams.objective, SceneObjective)
    valid = brain.sentences[sb.Stage.VALID]
    assert valid.templates == ["{}"]
    said = {x for cell in valid.captions for x in captions(cell)}
    assert said == {s.format(f"{n}; validation") for n in SOUNDS for s in SAID}
    text = valid.first(100)
    assert len(text) == len(SOUNDS)
    first = [captions(cell)[0] for cell in valid.captions]
    assert torch.equal(text, valid.embed(first))
    prepared = read_manifest(tmp_path / "run" / "save" / "train.csv")
    assert list(prepared.split) == ["development"] * 4


def test_a_classifier_of_the_hub_in_place_of_laions(tmp_path, monkeypatch):
    (line,) = re.findall("^# (classifier: .*)$", YAML.read_text(), flags=re.M)
    asked = []

    class Hub:
        def __new__(cls, **given):
            asked.append(given)
            return random_classifier()

    monkeypatch.setattr("speechbrain_lmac.classifiers.hf.HFCLAP", Hub)
    yaml = with_classifier(line, tmp_path)
    hparams = settings.load_settings(yaml, {"output_folder": str(tmp_path / "run")})
    assert asked == [{"source": "laion/clap-htsat-unfused"}]
    assert hparams["maskings"]["stft"].law == "log"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "'clap_checkpoint' is a !PLACEHOLDER"),
        ({"clap_checkpoint": "none.pt", "tokenizer_folder": "TOKENIZER"}, "none.pt"),
        ({"clap_checkpoint": "x.pt", "tokenizer_folder": "/nowhere"}, "/nowhere"),
    ],
)
def test_what_is_missing_is_one_line(data, tmp_path, capsys, given, message):
    folder = str(data / "tokenizer")
    given = {k: v.replace("TOKENIZER", folder) for k, v in given.items()}
    assert training.run(arguments(YAML, output_folder=tmp_path / "run", **given)) == 2
    said = capsys.readouterr().err.splitlines()
    assert len([x for x in said if x.startswith("error:")]) == 1
    assert message in said[-1]
