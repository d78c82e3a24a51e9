"""An evaluation from its yaml, end to end, on short clips and a tiny classifier."""

import io
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import torch

from speechbrain_lmac.classifiers.mini import MiniCLAP
from speechbrain_lmac.evaluation import runner
from speechbrain_lmac.evaluation.measure import Measurement
from speechbrain_lmac.evaluation.rows import Rows
from speechbrain_lmac.metrics import METRICS
from speechbrain_lmac.testing import random_classifier

CLIPS = 4
METHODS = (
    "lmac_zs gradcam gradcam++ smoothgrad integrated_gradients scorecam gscorecam "
    "control_ones control_constant control_random control_other control_loudest "
    "control_ideal"
).split()
CAMS = "gradcam gradcam++ scorecam gscorecam".split()
GRADIENTS = ["smoothgrad", "integrated_gradients"]
CONTROLS = [m for m in METHODS if m.startswith("control_")]


def results(folder, seconds=False):
    """The rows of a results folder, by default without the time they took."""
    rows = pd.read_csv(folder / "results.csv")
    return rows if seconds else rows.drop(columns="seconds")


@pytest.fixture(scope="module")
def everything(command_line, evaluated, tmp_path_factory):
    """All methods and domains; the conditions that differ in kind."""
    folder = tmp_path_factory.mktemp("everything") / "run"
    given = {
        "methods": METHODS,
        "conditions": "[in_domain, speech, two_sources]",
        "domains": "[stft, mel]",
        "speech_folder": evaluated / "speech",
    }
    assert runner.run(command_line(folder, **given)) == 0
    return folder


# ---- what comes out ----


def test_one_row_for_each_clip_method_domain_and_condition(everything):
    rows = results(everything, seconds=True)
    named = "clip method domain condition true predicted p o q".split()
    assert list(rows.columns[: len(named) + len(METRICS)]) == [*named, *METRICS]
    counts = rows.groupby(["condition", "domain"])["method"].value_counts()
    assert set(counts) == {CLIPS}
    known = {"two_sources": set(METHODS)}
    for condition, part in rows.groupby("condition"):
        expected = known.get(condition, set(METHODS) - {"control_ideal"})
        assert set(part["method"]) == expected
    assert set(rows["true"]) == {"wind", "rain", "siren"}
    first = rows.drop_duplicates(["clip", "method", "domain", "condition"])
    assert len(first) == len(rows)
    assert not rows[named + list(METRICS)].isna().any().any()


def test_what_is_predicted_is_explained_but_of_two_sources(everything):
    """The clips are told apart, and some masks of a prediction are heard as another."""
    rows = results(everything)
    assert rows["predicted"].nunique() > 1
    two = rows["condition"] == "two_sources"
    assert (rows["explained"] == rows["predicted"].where(~two, rows["true"])).all()
    assert set(rows[~two]["FidIn"]) == {0, 1}


def test_rows_agree_with_themselves(everything):
    rows = results(everything)
    confident = rows["p"] > 1e-3
    assert (rows["AI"].eq(100) == rows["o"].gt(rows["p"] + 1e-4)).all()
    drop = 100 * (rows["p"] - rows["o"]).clip(lower=0) / rows["p"]
    assert (drop - rows["AD"])[confident].abs().max() < 0.1
    assert (rows["p"] - rows["q"] - rows["FF"]).abs().max() < 1e-5


def test_a_mask_of_ones_explains_nothing(everything):
    rows = results(everything)
    ones = rows[rows["method"] == "control_ones"]
    assert (ones["AI"] == 0).all() and (ones["raw AI"] == 0).all()
    assert (ones["heard AI"].dropna() == 0).all()
    # the label of two sources need not be what is predicted
    assert (ones["FidIn"] == (ones["predicted"] == ones["explained"])).all()
    assert (ones["MM"] == 1).all()


def test_the_footer_says_what_holds_for_its_tables(everything, command_line, tmp_path):
    said = (everything / "table.md").read_text()
    assert ", speech at 3 dB, two_sources at 0 dB; all of them" in said
    assert "in_domain at" not in said and "arXiv" in said
    given = {"methods": ["lmac_zs"], "conditions": "[white_noise]"}
    assert runner.run(command_line(tmp_path / "run", **given)) == 0
    said = (tmp_path / "run" / "table.md").read_text()
    assert "white_noise at 3 dB" in said and "arXiv" not in said


def test_controls_match_the_mean_of_lmac_zs(everything):
    means = results(everything).pivot(
        index=["clip", "domain", "condition"], columns="method", values="MM"
    )
    half_a_bin = 0.5 / (64 * 21)  # of the coarser grid
    for name in ("control_constant", "control_random", "control_loudest"):
        assert (means[name] - means["lmac_zs"]).abs().max() < 1.01 * half_a_bin


def test_the_other_control_is_the_mask_of_another_class(everything):
    rows = results(everything)
    rows = rows[(rows["condition"] == "in_domain") & (rows["domain"] == "stft")]
    shape = rows.set_index(["method", "clip"])[["SPS", "COMP", "MM"]]
    # the nearest before it of another class; the first takes the nearest after it
    partner = {"1-wind": "2-rain", "2-rain": "1-wind", "3-rain": "1-wind"}
    for clip, other in (partner | {"4-silent": "3-rain"}).items():
        assert shape.loc["control_other", clip].equals(shape.loc["lmac_zs", other])


def test_localisation_where_the_sources_are_known(everything):
    rows = results(everything)
    two = rows[rows["condition"] == "two_sources"]
    assert rows[rows["condition"] != "two_sources"][["share", "IoU"]].isna().all().all()
    assert (two["explained"] == two["true"]).all()
    silent = two["clip"] == "4-silent"
    assert two[silent][["share", "IoU", "SI-SDRi"]].isna().all().all()
    heard = two[~silent & (two["domain"] == "stft")].set_index("method")
    for column in ("share", "IoU", "SI-SDRi"):
        ideal, ones = heard.loc["control_ideal", column], heard.loc["control_ones"]
        assert ideal.mean() > ones[column].mean()
    assert heard.loc["control_ones", "SI-SDRi"].abs().max() < 1e-3
    assert "Silent targets, left out of the localisation: 1." in (
        (everything / "table.md").read_text()
    )


def test_tables_figures_and_settings_are_there(everything):
    table = (everything / "table.md").read_text()
    for said in ("LMAC-ZS, paper | 43.35", "LMAC-ZS, paper | 23.45", "4 clips; 0 skip"):
        assert said in table
    absent = "control_ideal in in_domain, speech (needs to know the sources)"
    assert f"Methods left out: {absent}." in table
    assert table.count("\n## ") == 6
    latex = (everything / "table.tex").read_text()
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") > 10
    assert latex.count(r"\clearpage") == 6
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") > 10
    for name in ("curves_in_domain_stft", "scatter_two_sources_mel"):
        for suffix, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
            file = everything / "figures" / f"{name}{suffix}"
            assert file.read_bytes().startswith(start)
    settings = json.loads((everything / "settings.json").read_text())
    assert settings["seed"] == "1" and len(settings["decoder weights"]) == 64
    versions = json.loads((everything / "versions.json").read_text())
    assert versions["torch"] == torch.__version__
    curves = pd.read_csv(everything / "curves.csv")
    assert set(curves["fraction"]) == {0, 0.1, 0.5, 1}
    ends = curves[curves["fraction"].isin([0, 1])].pivot_table(
        index=["condition", "domain", "method"], columns="fraction"
    )
    assert (ends["deletion"][0] - ends["insertion"][1]).abs().max() < 1e-6


def test_the_csv_has_a_line_for_each_row_and_no_list(everything):
    text = (everything / "results.csv").read_text()
    assert "[" not in text
    assert len(pd.read_csv(io.StringIO(text))) == len(text.splitlines()) - 1


# ---- the same however it is run ----


def same(one, other):
    pd.testing.assert_frame_equal(one, other, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def whole(command_line, tmp_path_factory):
    """A run of few methods, in one go."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert runner.run(command_line(folder)) == 0
    return folder


def test_passes_change_nothing(command_line, whole, tmp_path):
    assert runner.run(command_line(tmp_path / "run", pairs_per_pass=3)) == 0
    same(results(tmp_path / "run"), results(whole))


def test_a_killed_run_goes_on(command_line, whole, tmp_path, monkeypatch):
    """Killed in the third clip, in the middle of a line; nothing is measured twice."""
    measured, rows = [], Rows.__call__

    def counted(self, clip):
        if clip == "3-rain" and clip not in measured:
            measured.append(clip)
            raise KeyboardInterrupt
        measured.append(clip)
        return rows(self, clip)

    monkeypatch.setattr(Rows, "__call__", counted)
    with pytest.raises(KeyboardInterrupt):
        runner.run(command_line(tmp_path / "run"))
    with open(tmp_path / "run" / "journal" / "0.jsonl", "a") as file:
        file.write('{"clip": "3-rain", "rows": [{"me')
    assert not (tmp_path / "run" / "results.csv").exists()
    assert runner.run(command_line(tmp_path / "run")) == 0
    assert measured == ["1-wind", "2-rain", "3-rain", "3-rain", "4-silent"]
    assert results(tmp_path / "run").equals(results(whole))
    # and once more, with nothing left to do
    assert runner.run(command_line(tmp_path / "run")) == 0
    assert len(measured) == 5


def test_shards_give_the_same(command_line, short_window, whole, tmp_path):
    """Two processes of torchrun, with the tiny classifier's short window."""
    script = tmp_path / "short.py"
    script.write_text(
        "import sys\n"
        "from speechbrain_lmac.classifiers.mini import MiniCLAP\n"
        "from speechbrain_lmac.evaluation.runner import run\n"
        f"MiniCLAP.window_seconds = {short_window}\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [sys.executable, *run, script, *command_line(tmp_path / "run")],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    parts = [tmp_path / "run" / "journal" / f"{rank}.jsonl" for rank in (0, 1)]
    assert [len(part.read_text().splitlines()) for part in parts] == [2, 2]
    same(results(tmp_path / "run"), results(whole))


def test_a_clip_does_not_depend_on_the_others_chosen(command_line, whole, tmp_path):
    given = {"clips": 2, "methods": ["lmac_zs", "gradcam"]}
    assert runner.run(command_line(tmp_path / "run", **given)) == 0
    rows = results(whole)
    some = rows["clip"].isin(["1-wind", "3-rain"])
    some &= rows["method"].isin(given["methods"])
    same(results(tmp_path / "run"), rows[some].reset_index(drop=True))


def test_other_settings_are_refused(command_line, whole, capsys):
    before = results(whole)
    assert runner.run(command_line(whole, seed=2)) == 2
    error = capsys.readouterr().err
    assert "results of other settings" in error and "seed" in error
    assert results(whole).equals(before)


# ---- nothing is computed twice ----


def test_encoder_passes(command_line, tmp_path, monkeypatch):
    """Spectrograms encoded, against what the figures and the explainers need."""
    passes, counts = [], Counter()
    encode, embed_text, hear = MiniCLAP.encode, MiniCLAP.embed_text, Measurement.hear

    def counted_encode(self, energies, domain="stft"):
        passes.append(len(energies))
        return encode(self, energies, domain)

    def counted_text(self, prompts):
        counts["text"] += 1
        return embed_text(self, prompts)

    def counted_hear(self, *args):
        counts["unmasked"] += 1
        return hear(self, *args)

    monkeypatch.setattr(MiniCLAP, "encode", counted_encode)
    monkeypatch.setattr(MiniCLAP, "embed_text", counted_text)
    monkeypatch.setattr(Measurement, "hear", counted_hear)
    given = {
        "methods": ["lmac_zs", *CAMS, *GRADIENTS, *CONTROLS],
        "conditions": "[in_domain, two_sources]",
        "domains": "[stft, mel]",
    }
    assert runner.run(command_line(tmp_path / "run", **given)) == 0
    channels = random_classifier().map_channels[-1]
    own = {"scorecam": channels, "gscorecam": round(0.1 * channels)}
    own |= dict.fromkeys(GRADIENTS, 50)
    needed = 0
    for _, part in results(tmp_path / "run").groupby(["clip", "condition"]):
        needed += 1 + 1  # the sound itself, and its gradient for three of the CAMs
        for domain, rows in part.groupby("domain"):
            # kept, removed, twice more in the gain test, heard; two curves of two
            figures = 4 + (domain == "stft") + 2 * 2
            needed += 1 + len(rows) * figures  # silence ends all curves
            needed += sum(own.get(name, 0) for name in rows["method"])
    assert sum(passes) <= needed
    assert counts["text"] == 1
    assert counts["unmasked"] == 2 * CLIPS
