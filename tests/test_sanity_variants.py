"""The variants that benchmarks/ablation.py trains, and what it does not redo."""

import sys
from pathlib import Path

import pytest
import speechbrain as sb

from speechbrain_lmac.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def script(load_benchmark):
    return load_benchmark("ablation")


def test_each_variant_changes_what_it_is_named_for(script, tmp_path):
    found = {}
    for name, options in script.VARIANTS.items():
        yaml = str(ROOT / "hparams" / "lmac_zs_mini.yaml")
        given = [yaml, "--output_folder", str(tmp_path / "none"), *options]
        hparams = load_settings(yaml, sb.parse_arguments(given)[2])
        paper = hparams["objectives"]["paper"]
        found[name] = {
            "loss": hparams["loss"],
            "law": hparams["maskings"]["stft"].law,
            "diversity": paper.weights["diversity"] > 0,
            "match": paper.weights["match"] > 0,
            **hparams["decoder"].arguments,
        }
    default = found.pop("default")
    changed = {
        name: {key: v for key, v in values.items() if v != default[key]}
        for name, values in found.items()
    }
    assert default["diversity"] and default["match"]
    assert (default["loss"], default["law"]) == ("default", "log")
    assert changed == {
        "plain cross-attention": {"groups": 0, "detail": False},
        "linear masking": {"law": "linear"},
        "paper loss": {"loss": "paper"},
        "paper loss without diversity": {"loss": "paper", "diversity": False},
    }


def test_what_is_exported_is_not_trained_again(script, tmp_path, monkeypatch):
    """Each variant is trained once with the same options; then all are compared."""
    trained, compared = [], []

    def run(command, cwd, check):
        assert (Path(cwd) / command[1]).exists() and (Path(cwd) / command[2]).exists()
        folder = Path(command[command.index("--output_folder") + 1])
        trained.append(folder.name)
        assert command[command.index("--number_of_epochs") + 1] in ("3", "4")
        assert command[-2:] == ["--lr", "0.1"]
        folder.mkdir(exist_ok=True)

    monkeypatch.setattr(script.subprocess, "run", run)
    monkeypatch.setattr(script.ablation, "main", lambda asked: compared.append(asked))
    asked = ["ablation.py", "--data_folder", "ESC-50", "--output", str(tmp_path)]
    asked += ["--epochs", "3", "--variants", "default"]
    monkeypatch.setattr(sys, "argv", [*asked, "--lr", "0.1"])
    script.main()
    script.main()
    assert trained == ["default"]
    asked[asked.index("3")] = "4"
    monkeypatch.setattr(sys, "argv", [*asked, "--lr", "0.1"])
    script.main()
    assert trained == ["default", "default"]
    assert len(compared) == 3 and compared[0] == compared[1]
    assert compared[0][1] == f"default={tmp_path / 'default' / 'export'}"


def test_a_training_that_fails_ends_the_comparison(script, tmp_path, monkeypatch):
    def run(command, cwd, check):
        raise script.subprocess.CalledProcessError(2, command)

    monkeypatch.setattr(script.subprocess, "run", run)
    asked = ["ablation.py", "--data_folder", "nowhere", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", asked)
    assert script.main() == 2
