"""The sequence of trainings that the decoder which ships comes from."""

import os
import subprocess
from pathlib import Path

import pytest
import speechbrain as sb

from speechbrain_lmac.pairing import at
from speechbrain_lmac.settings import load_settings

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
    assert len(commands) > 2
    before = None
    for command in commands:
        assert (ROOT / command[0]).is_file() and (ROOT / command[1]).is_file()
        yaml, options, overrides = sb.parse_arguments(command[1:])
        hparams = load_settings(ROOT / yaml, overrides)
        assert options["precision"] == "bf16"
        assert hparams["data_folder"] == "the data/ESC-50"
        assert hparams["urbansound8k_folder"] == "the data/UrbanSound8K"
        assert hparams["exclude_csv"] == "the data/freesound_overlap.csv"
        assert hparams["start_from"] == before
        before = hparams["export_folder"]
        assert Path(before).parent.parent == tmp_path / "out"
        objective = hparams["objectives"]["default"]
        assert (objective.l1, objective.l1_foreign) == (
            hparams["l1"],
            hparams["l1_foreign"],
        )
        for name, strict in {"l1": 10, "confidence": 10, "loudness": 30}.items():
            assert at(getattr(objective, name), ramp=1.0) >= strict
            if not hparams["start_from"]:  # strict from the start, masks stay all ones
                assert at(getattr(objective, name), ramp=0.0) < strict / 4
    assert objective.order and objective.rivals and objective.left_out


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
