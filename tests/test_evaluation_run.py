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
import soundfile
import torch

from speechbrain_lmac import audio, checkpoint
from speechbrain_lmac.classifiers.mini import Mini, MiniCLAP
from speechbrain_lmac.data import synth
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.evaluation import runner
from speechbrain_lmac.evaluation.journal import Journal
from speechbrain_lmac.evaluation.measure import Measurement
from speechbrain_lmac.metrics import METRICS
from speechbrain_lmac.testing import random_classifier

ROOT = Path(__file__).resolve().parents[1]
YAML = str(ROOT / "hparams" / "evaluate.yaml")
RATE, SECONDS = 16000, 0.4
SOUNDS = {"1-wind": "wind", "2-rain": "rain", "3-rain": "rain", "4-silent": "siren"}
METHODS = (
    "lmac_zs gradcam gradcam++ smoothgrad integrated_gradients scorecam gscorecam "
    "control_ones control_constant control_random control_other control_loudest "
    "control_ideal"
).split()
CONTROLS = [m for m in METHODS if m.startswith("control_")]
FEW = ["lmac_zs", "gradcam", "control_ones", "control_other"]


@pytest.fixture(scope="module", autouse=True)
def short_window():
    """The tiny classifier hears short clips, which saves most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MiniCLAP, "window_seconds", SECONDS)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """An exported interpreter, ESC-50's layout with four clips, and speech."""
    folder = tmp_path_factory.mktemp("data")
    checkpoint.save_mini(random_classifier(), folder / "mini")
    classifier = Mini(folder / "mini")
    torch.manual_seed(3)
    decoder = MaskDecoder(classifier, width=16, fine_width=8)
    settings = {"masking_domain": "stft", "masking_law": "log", "mask_floor_db": -68.0}
    checkpoint.export(folder / "export", decoder, classifier, settings)
    table = ["filename,fold,category"]
    for clip, name in SOUNDS.items():
        sound = synth.synthesise(name, len(table), SECONDS, RATE)
        sound = 0 * sound if clip == "4-silent" else sound
        audio.write(folder / "ESC-50" / "audio" / f"{clip}.wav", sound, RATE)
        table.append(f"{clip}.wav,1,{name}")
    (folder / "ESC-50" / "meta").mkdir()
    (folder / "ESC-50" / "meta" / "esc50.csv").write_text("\n".join(table) + "\n")
    audio.write(folder / "speech" / "one.wav", 0.1 * torch.randn(RATE), RATE)
    return folder


def arguments(data, output, **overrides):
    """The command line of a small evaluation."""
    given = {
        "data_folder": data / "ESC-50",
        "interpreter": data / "export",
        "output_folder": output,
        "folds": [1],
        "methods": FEW,
        "conditions": ["in_domain"],
        "domains": ["stft"],
        "curve_fractions": [0.1, 0.5],
        "bootstrap_samples": 50,
        **overrides,
    }
    return [YAML, *(f"--{key}={value}" for key, value in given.items())]


def results(folder, seconds=False):
    """The rows of a results folder, by default without the time they took."""
    rows = pd.read_csv(folder / "results.csv")
    return rows if seconds else rows.drop(columns="seconds")


@pytest.fixture(scope="module")
def everything(data, tmp_path_factory):
    """All methods and domains; the conditions that differ in kind."""
    folder = tmp_path_factory.mktemp("everything") / "run"
    given = {
        "methods": METHODS,
        "conditions": "[in_domain, speech, two_sources]",
        "domains": "[stft, mel]",
        "speech_folder": data / "speech",
    }
    assert runner.run(arguments(data, folder, **given)) == 0
    return folder


# ---- what comes out ----


def test_one_row_for_each_clip_method_domain_and_condition(everything):
    rows = results(everything, seconds=True)
    named = "clip method domain condition true predicted p o q".split()
    assert list(rows.columns[: len(named) + len(METRICS)]) == [*named, *METRICS]
    counts = rows.groupby(["condition", "domain"])["method"].value_counts()
    assert set(counts) == {len(SOUNDS)}
    known = {"two_sources": set(METHODS)}
    for condition, part in rows.groupby("condition"):
        expected = known.get(condition, set(METHODS) - {"control_ideal"})
        assert set(part["method"]) == expected
    assert set(rows["true"]) == {"wind", "rain", "siren"}
    first = rows.drop_duplicates(["clip", "method", "domain", "condition"])
    assert len(first) == len(rows)
    assert not rows[named + list(METRICS)].isna().any().any()


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
    assert (ones["FidIn"] == 1).all() and (ones["MM"] == 1).all()


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
    # the nearest before it of another class; the first takes the last
    partner = {"1-wind": "4-silent", "2-rain": "1-wind", "3-rain": "1-wind"}
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
    assert table.count("\n## ") == 6
    latex = (everything / "table.tex").read_text()
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


# ---- the same however it is run ----


def same(one, other):
    pd.testing.assert_frame_equal(one, other, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run of few methods, in one go."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert runner.run(arguments(data, folder)) == 0
    return folder


def test_passes_change_nothing(data, whole, tmp_path):
    assert runner.run(arguments(data, tmp_path / "run", pairs_per_pass=3)) == 0
    same(results(tmp_path / "run"), results(whole))


def test_a_killed_run_goes_on(data, whole, tmp_path, monkeypatch):
    """Killed in the third clip, in the middle of a line; nothing is measured twice."""
    measured, rows = [], runner.Evaluation._rows

    def counted(self, clip):
        if clip == "3-rain" and clip not in measured:
            measured.append(clip)
            raise KeyboardInterrupt
        measured.append(clip)
        return rows(self, clip)

    monkeypatch.setattr(runner.Evaluation, "_rows", counted)
    with pytest.raises(KeyboardInterrupt):
        runner.run(arguments(data, tmp_path / "run"))
    with open(tmp_path / "run" / "journal" / "0.jsonl", "a") as file:
        file.write('{"clip": "3-rain", "rows": [{"me')
    assert not (tmp_path / "run" / "results.csv").exists()
    assert runner.run(arguments(data, tmp_path / "run")) == 0
    assert measured == ["1-wind", "2-rain", "3-rain", "3-rain", "4-silent"]
    assert results(tmp_path / "run").equals(results(whole))
    # and once more, with nothing left to do
    assert runner.run(arguments(data, tmp_path / "run")) == 0
    assert len(measured) == 5


def test_shards_give_the_same(data, whole, tmp_path):
    """Two processes of torchrun, with the tiny classifier's short window."""
    script = tmp_path / "short.py"
    script.write_text(
        "import sys\n"
        "from speechbrain_lmac.classifiers.mini import MiniCLAP\n"
        "from speechbrain_lmac.evaluation.runner import run\n"
        f"MiniCLAP.window_seconds = {SECONDS}\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [sys.executable, *run, script, *arguments(data, tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    parts = [tmp_path / "run" / "journal" / f"{rank}.jsonl" for rank in (0, 1)]
    assert [len(part.read_text().splitlines()) for part in parts] == [2, 2]
    same(results(tmp_path / "run"), results(whole))


def test_a_clip_does_not_depend_on_the_others_chosen(data, whole, tmp_path):
    given = {"clips": 2, "methods": ["lmac_zs", "gradcam"]}
    assert runner.run(arguments(data, tmp_path / "run", **given)) == 0
    rows = results(whole)
    some = rows["clip"].isin(["1-wind", "3-rain"])
    some &= rows["method"].isin(given["methods"])
    same(results(tmp_path / "run"), rows[some].reset_index(drop=True))


# ---- nothing is computed twice ----


def test_encoder_passes(data, tmp_path, monkeypatch):
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
        "methods": ["lmac_zs", "gradcam", "scorecam", *CONTROLS],
        "conditions": "[in_domain, two_sources]",
        "domains": "[stft, mel]",
    }
    assert runner.run(arguments(data, tmp_path / "run", **given)) == 0
    own = {"gradcam": 1, "scorecam": random_classifier().map_channels[-1]}
    needed = 0
    for _, part in results(tmp_path / "run").groupby(["clip", "condition"]):
        needed += 1  # the sound itself
        for domain, rows in part.groupby("domain"):
            # kept, removed, twice more in the gain test, heard; two curves of two
            figures = 4 + (domain == "stft") + 2 * 2
            needed += 1 + len(rows) * figures  # silence ends all curves
            needed += sum(own.get(name, 0) for name in rows["method"])
    assert sum(passes) <= 1.2 * needed
    assert counts["text"] == 1
    # the first clip's control takes the last clip's mask, which is not heard yet
    assert counts["unmasked"] == 2 * (len(SOUNDS) + 1)


# ---- bad input ----


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dataset": "GTZAN"}, "dataset 'GTZAN' is unknown"),
        ({"methods": "[lime]"}, "method 'lime' is unknown"),
        ({"methods": "[]"}, "no method is chosen"),
        ({"conditions": "[underwater]"}, "condition 'underwater' is unknown"),
        ({"domains": "[wavelet]"}, "masking domain 'wavelet' is unknown"),
        ({"folds": "4"}, "folds is 4: give a list"),
        ({"folds": "[9]"}, "folds [9]: ESC-50 has folds 1 to 5"),
        ({"clips": "0"}, "clips is 0"),
        ({"curve_fractions": "[0.5, 0.1]"}, "curve_fractions [0.5, 0.1]"),
        ({"template": "a sound"}, "template 'a sound'"),
        ({"snr_db": "loud"}, "snr_db 'loud'"),
        ({"data_folder": "nowhere"}, "esc50.csv: no such file"),
        ({"interpreter": "no where"}, "no where: no such folder"),
        ({"nonsense": "1"}, "nonsense"),
        ({"methods": "[control_other]", "clips": "1"}, "nothing was measured"),
    ],
)
def test_bad_input_is_one_line(data, tmp_path, capsys, given, said):
    assert runner.run(arguments(data, tmp_path / "run", **given)) == 2
    lines = capsys.readouterr().err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1 and said in errors[0]


def test_a_decoder_of_another_classifier(data, tmp_path, capsys):
    checkpoint.save_mini(random_classifier(seed=7), tmp_path / "other")
    (tmp_path / "export").mkdir()
    for file in (data / "export").iterdir():
        (tmp_path / "export" / file.name).write_bytes(file.read_bytes())
    yaml = tmp_path / "export" / "hyperparams.yaml"
    text = yaml.read_text().replace(str(data / "mini"), str(tmp_path / "other"))
    yaml.write_text(text)
    given = {"interpreter": tmp_path / "export"}
    assert runner.run(arguments(data, tmp_path / "run", **given)) == 2
    assert "trained for another classifier" in capsys.readouterr().err


def test_other_settings_are_refused(data, whole, capsys):
    before = results(whole)
    assert runner.run(arguments(data, whole, seed=2)) == 2
    error = capsys.readouterr().err
    assert "results of other settings" in error and "seed" in error
    assert results(whole).equals(before)


def test_speech_without_a_folder_is_left_out_and_said(data, tmp_path):
    given = {"conditions": "[in_domain, speech]", "methods": "[lmac_zs]", "clips": 1}
    assert runner.run(arguments(data, tmp_path / "run", **given)) == 0
    assert set(results(tmp_path / "run")["condition"]) == {"in_domain"}
    text = (tmp_path / "run" / "table.md").read_text()
    assert "Conditions left out, with no folder: speech." in text


def test_a_clip_that_breaks_off_is_skipped_and_counted(data, tmp_path):
    folder = tmp_path / "ESC-50"
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    table = (data / "ESC-50" / "meta" / "esc50.csv").read_text()
    (folder / "meta" / "esc50.csv").write_text(table)
    for file in (data / "ESC-50" / "audio").iterdir():
        (folder / "audio" / file.name).write_bytes(file.read_bytes())
    (folder / "audio" / "1-wind.wav").write_text("no sound")  # seen in its header
    broken = torch.full((1000,), torch.nan).numpy()  # seen when it is read
    soundfile.write(folder / "audio" / "2-rain.wav", broken, RATE, subtype="FLOAT")
    audible = (folder / "audio" / "3-rain.wav").read_bytes()
    (folder / "audio" / "4-silent.wav").write_bytes(audible)
    given = {"data_folder": folder, "conditions": "[in_domain, another_clip]"}
    assert runner.run(arguments(data, tmp_path / "run", **given)) == 0
    assert set(results(tmp_path / "run")["clip"]) == {"3-rain", "4-silent"}
    text = (tmp_path / "run" / "table.md").read_text()
    assert "2 clips; 2 skipped as unreadable" in text
    assert "1-wind.wav" in text and "2-rain.wav" in text


def test_a_full_disk_keeps_what_is_there(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.append({"clip": "a", "rows": []})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match=r"0\.jsonl: cannot be written \(No space"):
        journal.append({"clip": "b", "rows": []})
    monkeypatch.undo()
    with open(journal.file, "rb+") as file:  # what a full disk leaves
        file.truncate(journal.file.stat().st_size - 5)
    again = Journal(tmp_path)
    assert [r["clip"] for r in again.records()] == ["a"]
    again.append({"clip": "b", "rows": []})
    assert [r["clip"] for r in again.records()] == ["a", "b"]


def test_a_damaged_line_is_named(tmp_path):
    journal = Journal(tmp_path)
    journal.append({"clip": "a", "rows": []})
    journal.file.write_bytes(b"\x00\x00\n" + journal.file.read_bytes())
    with pytest.raises(Exception, match=r"0\.jsonl: line 1 is damaged"):
        journal.records()


def test_unknown_words_stay_out_of_the_tables(everything):
    """The CSV reads back as it was written: no list, no missing name."""
    text = (everything / "results.csv").read_text()
    assert "[" not in text
    assert len(pd.read_csv(io.StringIO(text))) == len(text.splitlines()) - 1
