"""What benchmarks/results.py runs, and the RESULTS.md that it writes."""

import json
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def script(load_benchmark):
    return load_benchmark("results")


@pytest.fixture
def run(script, monkeypatch):
    """What was run, in place of running it; its exit codes are 0 unless told."""

    class Run:
        returncode, commands = 0, []

    def record(command, cwd):
        folder = Path(command[-1])
        folder.mkdir(parents=True, exist_ok=True)
        Run.commands.append(command)
        return Run

    monkeypatch.setattr(script.subprocess, "run", record)
    return Run


def test_each_command_names_what_is_there(script, run, tmp_path):
    data = tmp_path / "a folder"
    for name in script.SECTIONS:
        assert script.measure(name, data, tmp_path / "out") == 0
    assert len(run.commands) == len(script.SECTIONS)
    for name, command in zip(script.SECTIONS, run.commands, strict=True):
        files = [word for word in command if word.endswith((".py", ".yaml"))]
        assert files and all((ROOT / file).is_file() for file in files)
        assert command[-1] == str(tmp_path / "out" / name)
        given = command[command.index("--data_folder") + 1]
        assert Path(given).parent == data
        # the shown command has the placeholder, and no path of this machine
        assert "DIR/" in script.SECTIONS[name][1]
        assert str(tmp_path) not in script.SECTIONS[name][1]


def test_what_is_done_is_not_run_again(script, run, tmp_path):
    run.returncode = 3
    assert script.measure("prompts", tmp_path, tmp_path) == 3
    assert script.taken(tmp_path / "prompts") is None
    run.returncode = 0
    assert script.measure("prompts", tmp_path, tmp_path) == 0
    assert script.measure("prompts", tmp_path, tmp_path) == 0
    assert len(run.commands) == 2
    # another decoder ships: what was measured is not its
    file = tmp_path / "prompts" / script.TAKEN
    told = json.loads(file.read_text())
    for changed in ({"decoder": "another"}, {"command": "python other.py"}):
        file.write_text(json.dumps(told | changed))
        assert script.taken(tmp_path / "prompts") is None


def test_beside(script):
    others = pd.Series({"a": 3.0, "b": 5.0})
    assert script.beside(6.0, others, more=True) == "**6** / 5 (b)"
    assert script.beside(5.0, others, more=True) == "5 / 5 (b)"
    assert script.beside(2.5, others, more=False) == "**2.5** / 3 (a)"
    assert script.beside(4.0, others, more=False) == "4 / 3 (a)"


def test_results(script, run, tmp_path):
    """Others and controls; sections that are not measured say so."""
    assert script.measure("esc50_stft", tmp_path, tmp_path) == 0
    columns = ["clip", "method", "domain", "condition", *script.SHOWN]
    rows = [
        ["x", "lmac_zs", "stft", "in_domain", 100, 1, 30, 1],
        ["y", "lmac_zs", "stft", "in_domain", 0, 3, 10, 0],
        ["x", "gradcam", "stft", "in_domain", 0, 9, 1, 1],
        ["y", "gradcam", "stft", "in_domain", 0, 1, 3, 1],
        ["x", "control_other", "stft", "in_domain", 100, 7, 0, 0],
        ["y", "control_other", "stft", "in_domain", 0, 7, 0, 0],
        ["x", "control_ones", "stft", "in_domain", 100, 0, 100, 1],
        ["y", "control_ones", "stft", "in_domain", 100, 0, 100, 1],
    ]
    folder = tmp_path / "esc50_stft"
    pd.DataFrame(rows, columns=columns).to_csv(folder / "results.csv", index=False)
    (folder / "table.md").write_text("# one setting\n\n## a table\n\n| a |\n")
    script.write(tmp_path, tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    cells = "**50** / 0 (GradCAM) | **2** / 5 (GradCAM) | **20** / 2 (GradCAM)"
    row = f"| ESC-50 | in_domain | stft | 2 | {cells} | 0.5 / 1 (GradCAM) |"
    assert row in text.splitlines()
    cells = (
        "50 / 50 (other) | **2** / 7 (other) | **20** / 0 (other) | **0.5** / 0 (other)"
    )
    controls = cells.replace("(other)", "(control_other)")
    assert f"| ESC-50 | in_domain | stft | 2 | {controls} |" in text.splitlines()
    assert "one setting" not in text and "\n### a table\n\n| a |" in text
    assert text.count("Not measured.") == len(script.SECTIONS) - 1
