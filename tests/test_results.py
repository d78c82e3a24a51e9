"""What benchmarks/results.py runs, and the RESULTS.md that it writes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from speechbrain_lmac.evaluation import tables
from speechbrain_lmac.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
EVALUATE = ROOT / "hparams" / "evaluate.yaml"


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
        assert data in (Path(given), Path(given).parent)
        # the shown command has the placeholder, and no path of this machine
        assert "DIR" in script.SECTIONS[name][1]
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


def test_baselines_of_another_decoder(script, run, tmp_path):
    """For the tables of evaluate.py whose folder is there, and nothing else."""
    before = tmp_path / "before"
    for name in ("esc50_stft", "prompts"):
        (before / name).mkdir(parents=True)
    run.commands.clear()
    for name in ("esc50_stft", "esc50_mel", "prompts"):
        assert script.measure(name, tmp_path, tmp_path / "out", before) == 0
    given = [" ".join(command) for command in run.commands]
    option = f"--baselines_from {before / 'esc50_stft'} --output_folder "
    assert [option in command for command in given] == [True, False, False]
    assert not any("--baselines" in command for command in given[1:])
    told = [script.taken(tmp_path / "out" / name) for name in script.SECTIONS]
    assert ["another decoder" in cost for cost in told if cost] == [True, False, False]


@pytest.mark.parametrize(
    ("metric", "ours", "expected"),
    [
        ("AG", 6.0, "**6** / 5 (b)"),
        ("AG", 5.0, "5 / 5 (b)"),
        ("AD", 2.5, "**2.5** / 3 (a)"),
        ("AD", 4.0, "4 / 3 (a)"),
    ],
)
def test_beside(script, metric, ours, expected):
    """The best of the others, by the metric's direction; of one clip no interval."""
    rows = {"method": ["lmac_zs", "a", "b"], metric: [ours, 3.0, 5.0]}
    assert script.beside(pd.DataFrame(rows), metric) == expected


def test_intervals_are_those_of_the_sections(script):
    """What the tables of evaluate.py say, by its own settings."""
    draw = np.random.default_rng(0)
    rows = pd.DataFrame({"clip": range(60), "condition": "in_domain", "domain": "mel"})
    rows = pd.concat([rows.assign(method=name) for name in ("lmac_zs", "gradcam")])
    rows["p"], rows["FF"] = 1.0, 0.0
    for metric in script.SHOWN:
        rows[metric] = draw.uniform(0, 100, len(rows))
    hparams = load_settings(EVALUATE, {"data_folder": "none"})
    samples, seed = hparams["bootstrap_samples"], hparams["seed"]
    (table,) = tables.method_tables(rows, "none", samples, seed)
    for metric in script.SHOWN:
        column = table.header.index(tables.heading(metric))
        ours, theirs = (row[column] for row in table.rows)
        cell = script.beside(rows, metric).replace("**", "")
        if metric not in ("AI", "AD"):
            ours, theirs = ours.split()[0], theirs.split()[0]
        assert cell == f"{ours} / {theirs} (GradCAM)"
    assert not any(
        f"--{key}" in c
        for _, c, _ in script.SECTIONS.values()
        for key in ("seed", "bootstrap_samples")
    )


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
    cells = (
        "**50** [0, 100] / 0 [0, 0] (GradCAM) | **2** [1, 3] / 5 [1, 9] (GradCAM) | "
        "**20** / 2 (GradCAM)"
    )
    row = f"| ESC-50 | in_domain | stft | 2 | {cells} | 0.5 / 1 (GradCAM) |"
    assert row in text.splitlines()
    cells = (
        "50 [0, 100] / 50 [0, 100] (other) | **2** [1, 3] / 7 [7, 7] (other) | "
        "**20** / 0 (other) | **0.5** / 0 (other)"
    )
    controls = cells.replace("(other)", "(control_other)")
    assert f"| ESC-50 | in_domain | stft | 2 | {controls} |" in text.splitlines()
    assert "one setting" not in text and "\n### a table\n\n| a |" in text
    assert text.count("Not measured.") == len(script.SECTIONS) - 1
