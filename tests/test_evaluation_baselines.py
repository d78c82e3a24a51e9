"""Baselines that are taken from the results of another decoder."""

import json
import shutil

import pandas as pd
import pytest
import torch

from speechbrain_lmac import checkpoint
from speechbrain_lmac.evaluation import runner
from speechbrain_lmac.explainers.gradcam import GradCAM

METHODS = ["lmac_zs", "gradcam", "control_ones", "control_constant"]
GIVEN = {"methods": METHODS, "conditions": "[in_domain, two_sources]"}


@pytest.fixture(scope="module")
def another(evaluated):
    """A second decoder for the same classifier."""
    export = checkpoint.load(evaluated / "export")
    torch.manual_seed(4)
    for parameter in export.decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    folder = evaluated / "another"
    checkpoint.export(folder, export.decoder, export.classifier, export.settings)
    return folder


@pytest.fixture(scope="module")
def before(command_line, evaluated, tmp_path_factory):
    """The first decoder's results."""
    folder = tmp_path_factory.mktemp("before") / "run"
    assert runner.run(command_line(folder, **GIVEN)) == 0
    return folder


@pytest.fixture
def asked(monkeypatch):
    """The clips that Grad-CAM was asked about."""
    calls, explain = [], GradCAM.__call__

    def counted(self, scene, text):
        calls.append(len(scene))
        return explain(self, scene, text)

    monkeypatch.setattr(GradCAM, "__call__", counted)
    return calls


def rows(folder):
    return pd.read_csv(folder / "results.csv").drop(columns="seconds")


def test_only_what_the_decoder_decides_is_measured(
    command_line, another, before, asked, tmp_path
):
    given = GIVEN | {"interpreter": another}
    assert runner.run(command_line(tmp_path / "whole", **given)) == 0
    assert sum(asked) == 8
    asked.clear()
    given["baselines_from"] = before
    assert runner.run(command_line(tmp_path / "rest", **given)) == 0
    assert not asked
    whole, rest, old = map(rows, (tmp_path / "whole", tmp_path / "rest", before))
    pd.testing.assert_frame_equal(rest, whole, rtol=1e-4, atol=1e-4)
    # and LMAC-ZS and the controls made from its masks are not the first decoder's
    for name in ("lmac_zs", "control_constant"):
        means = [table[table["method"] == name]["MM"] for table in (rest, old)]
        assert (means[0] - means[1]).abs().max() > 1e-3
    said = "measured before, in a run of the same settings"
    assert said in " ".join((tmp_path / "rest" / "table.md").read_text().split())
    assert said not in " ".join((tmp_path / "whole" / "table.md").read_text().split())


def test_of_a_run_that_was_broken_off_the_rest_is_measured(
    command_line, another, before, asked, tmp_path
):
    shutil.copytree(before, tmp_path / "before")
    journal = tmp_path / "before" / "journal" / "0.jsonl"
    first = journal.read_text().splitlines(keepends=True)[0]
    journal.write_text(first + '{"clip": "2-rain", "rows": [{"me')
    given = GIVEN | {"interpreter": another, "baselines_from": tmp_path / "before"}
    assert runner.run(command_line(tmp_path / "run", **given)) == 0
    assert sum(asked) == 6  # one of four clips is known, in both conditions


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"seed": 2}, "other settings (__set_seed, explainers, seed)"),
        ({"template": "a sound of {}"}, "other settings (template)"),
    ],
)
def test_results_of_other_settings_are_refused(
    command_line, before, tmp_path, capsys, given, reason
):
    given = GIVEN | given | {"baselines_from": before}
    assert runner.run(command_line(tmp_path / "run", **given)) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("damaged", [None, "", "[1]"])
def test_a_folder_without_results_is_refused(command_line, tmp_path, capsys, damaged):
    if damaged is not None:
        (tmp_path / "settings.json").write_text(damaged)
    given = GIVEN | {"baselines_from": tmp_path}
    assert runner.run(command_line(tmp_path / "run", **given)) == 2
    assert "settings.json is missing or damaged" in capsys.readouterr().err
    assert not (tmp_path / "run" / "results.csv").exists()


def test_fewer_methods_and_clips_are_taken(command_line, before, asked, tmp_path):
    given = GIVEN | {"methods": METHODS[:2], "clips": 2, "baselines_from": before}
    assert runner.run(command_line(tmp_path / "run", **given)) == 0
    assert not asked
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert "baselines_from" not in settings
    some = rows(before)
    some = some[some["clip"].isin(["1-wind", "3-rain"])]
    some = some[some["method"].isin(given["methods"])]
    pd.testing.assert_frame_equal(
        rows(tmp_path / "run"), some.reset_index(drop=True), rtol=1e-4, atol=1e-4
    )
