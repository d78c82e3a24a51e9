"""The sequence of trainings that the decoder which ships comes from."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import speechbrain as sb
import torch

from speechbrain_lmac import checkpoint
from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.pairing import at
from speechbrain_lmac.settings import load_settings
from speechbrain_lmac.testing import random_classifier

ROOT = Path(__file__).resolve().parents[1]
# in place of python: notes what it is given
STUB = """#!/bin/sh
printf '%s\\0' "$@" >> "$NOTED"
printf '\\n' >> "$NOTED"
"""


@pytest.fixture
def commands(tmp_path):
    """What the script runs."""
    stub, noted = tmp_path / "bin" / "python", tmp_path / "noted"
    stub.parent.mkdir()
    stub.write_text(STUB)
    stub.chmod(0o755)
    path = f"{stub.parent}{os.pathsep}{os.environ['PATH']}"
    script = ROOT / "recipes" / "mini" / "train_decoder.sh"
    subprocess.run(
        ["bash", str(script), "the data", str(tmp_path / "out")],
        env=os.environ | {"PATH": path, "NOTED": str(noted)},
        check=True,
    )
    return [line.split("\0")[:-1] for line in noted.read_text().splitlines()]


def test_each_stage_goes_on_from_the_one_before(commands, tmp_path):
    """Every option is one of the yaml, and reaches what it is meant for."""
    exports = [None]
    for command in commands:
        if "average" in command[0]:
            assert (ROOT / command[0]).is_file()
            *averaged, mean = command[1:]
            assert averaged == [e for e in exports if e in averaged]  # each made before
            assert averaged[-1] == exports[-1] and len(averaged) > 1
            assert Path(mean).parent == tmp_path / "out"
            exports.append(mean)
            continue
        assert (ROOT / command[0]).is_file() and (ROOT / command[1]).is_file()
        yaml, options, overrides = sb.parse_arguments(command[1:])
        hparams = load_settings(ROOT / yaml, overrides)
        assert options["precision"] == "bf16"
        assert hparams["data_folder"] == "the data/ESC-50"
        assert hparams["urbansound8k_folder"] == "the data/UrbanSound8K"
        assert hparams["exclude_csv"] == "the data/freesound_overlap.csv"
        assert hparams["start_from"] == exports[-1]
        exports.append(hparams["export_folder"])
        assert Path(exports[-1]).parent.parent == tmp_path / "out"
        objective = hparams["objectives"]["default"]
        assert (objective.l1, objective.l1_foreign) == (
            hparams["l1"],
            hparams["l1_foreign"],
        )
        for name, strict in {"l1": 10, "confidence": 10, "loudness": 30}.items():
            assert at(getattr(objective, name), ramp=1.0) >= strict
            if not hparams["start_from"]:  # strict from the start, masks stay all ones
                assert at(getattr(objective, name), ramp=0.0) < strict / 4
    assert objective.order and objective.noise_share and objective.odds > 1
    questions = objective.questions
    assert questions.rivals and questions.left_out and questions.unlikely_share
    assert len(exports) == 1 + 12 + 4  # and the means


@pytest.fixture
def average(recipe, monkeypatch):
    """The script, with exports and an output folder; its exit code."""

    def run(*folders):
        monkeypatch.setattr(sys, "argv", ["average.py", *map(str, folders)])
        return recipe("average").main()

    return run


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Two of one classifier, and one of a decoder that is built otherwise."""
    root = tmp_path_factory.mktemp("exports")
    checkpoint.save_mini(random_classifier(), root / "classifier")
    classifier = Mini(root / "classifier")
    settings = {"masking_law": "log", "mask_floor_db": -68}
    for seed, (name, width) in enumerate({"a": 16, "b": 16, "wide": 24}.items()):
        torch.manual_seed(seed)
        decoder = MaskDecoder(classifier, width=width, fine_width=8, groups=2)
        checkpoint.export(root / name, decoder, classifier, settings)
    return root


def test_the_mean_of_weights(average, exports, tmp_path):
    assert average(exports / "a", exports / "b", tmp_path / "mean") == 0
    found = checkpoint.load(tmp_path / "mean")
    one, other = (checkpoint.load(exports / name) for name in "ab")
    assert found.settings == one.settings
    states = [e.decoder.state_dict() for e in (found, one, other)]
    for name, value in states[0].items():
        mean = (states[1][name].double() + states[2][name].double()) / 2
        torch.testing.assert_close(value.double(), mean, rtol=1e-3, atol=1e-6)
    assert any(not torch.equal(states[0][n], states[1][n]) for n in states[0])
    assert average(*[exports / "a"] * 3, tmp_path / "same") == 0
    written = (tmp_path / "same" / "decoder.safetensors").read_bytes()
    assert written == (exports / "a" / "decoder.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("other", "reason"),
    [("wide", "another classifier, decoder or masking"), ("none", "No such file")],
)
def test_decoders_that_have_no_mean(average, exports, tmp_path, capsys, other, reason):
    assert average(exports / "a", exports / other, tmp_path / "mean") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(exports / other) in line and reason in line
    assert not (tmp_path / "mean").exists()


def test_a_failed_stage_ends_it(tmp_path):
    stub = tmp_path / "python"
    stub.write_text("#!/bin/sh\necho ran\nexit 3\n")
    stub.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    script = ROOT / "recipes" / "mini" / "train_decoder.sh"
    run = subprocess.run(
        ["bash", str(script), "a", str(tmp_path / "out")],
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.returncode == 3 and run.stdout == "ran\n"
