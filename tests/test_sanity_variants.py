"""What benchmarks/ablation.py and training_sets.py train, and do not train again."""

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
            "diversity": paper.diversity > 0,
            "match": paper.match > 0,
            **hparams["decoder"].arguments,
        }
    default = found.pop("default")
    changed = {
        name: {key: v for key, v in values.items() if v != default[key]}
        for name, values in found.items()
    }
    assert not default["diversity"] and default["match"]
    assert (default["loss"], default["law"]) == ("default", "log")
    assert changed == {
        "plain cross-attention": {"groups": 0, "detail": False},
        "linear masking": {"law": "linear"},
        "paper loss": {"loss": "paper"},
        "paper loss with diversity": {"loss": "paper", "diversity": True},
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


@pytest.mark.parametrize("name", ["ablation", "training_sets"])
def test_a_training_that_fails_ends_the_comparison(
    load_benchmark, name, tmp_path, monkeypatch
):
    script = load_benchmark(name)

    def run(command, cwd, check):
        raise script.subprocess.CalledProcessError(2, command)

    monkeypatch.setattr(script.subprocess, "run", run)
    asked = [f"{name}.py", "--data_folder", "nowhere", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", asked)
    assert script.main() == 2


def test_each_training_set_is_what_it_is_named_for(load_benchmark, tmp_path):
    """Each larger than the one before, for about as many clips in all."""
    script = load_benchmark("training_sets")
    yaml = str(ROOT / "hparams" / "lmac_zs_mini.yaml")
    found = {}
    for name, (options, times) in script.SETS.items():
        given = [yaml, "--output_folder", str(tmp_path / "none"), *options]
        prepare = load_settings(yaml, sb.parse_arguments(given)[2])["prepare_data"]
        folds = prepare.keywords["train_folds"]
        urban = prepare.keywords["urbansound8k_folder"]
        assert 3 not in folds and 4 not in folds  # validation's, and held out
        clips = 400 * len(folds) + (888 if urban else 0)
        assert 1500 < times * clips < 1700
        found[name] = (len(folds), urban)
    assert found == {
        "ESC-50 fold 1": (1, None),
        "ESC-50 folds 1, 2": (2, None),
        "ESC-50 folds 1, 2, UrbanSound8K fold 2": (2, "DIR/UrbanSound8K"),
    }


def test_training_sets_are_compared_with_their_decoders(
    load_benchmark, tmp_path, monkeypatch
):
    script = load_benchmark("training_sets")
    trained, compared = [], []

    def run(command, cwd, check):
        trained.append(command)
        Path(command[command.index("--output_folder") + 1]).mkdir()

    def compare(arguments):
        compared.append(arguments)
        return 0

    monkeypatch.setattr(script.subprocess, "run", run)
    monkeypatch.setattr(script.training_sets, "main", compare)
    asked = ["training_sets.py", "--data_folder", "DIR", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [*asked, "--lr", "0.1", "--clips", "7"])
    assert script.main() == 0 and len(trained) == 3
    for command, epochs in zip(trained, ("12", "6", "3"), strict=True):
        assert command[command.index("--number_of_epochs") + 1] == epochs
        assert command[command.index("--lr") + 1] == "0.1"
    assert all("DIR/UrbanSound8K" not in word for word in trained[0])
    given = compared[0]
    for command, named in zip(trained, given[1:4], strict=True):
        folder = command[command.index("--output_folder") + 1]
        assert named.partition("=")[2] == f"{folder}/save/train.csv:{folder}/export"
    assert given[given.index("--clips") + 1] == "7"
