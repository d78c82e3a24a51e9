"""The commands of the sanity checks, from the yaml to tables and figures."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from speechbrain_lmac import checkpoint
from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.evaluation import (
    ablation,
    command,
    panels,
    prompts,
    randomisation,
    tables,
    training_sets,
)
from speechbrain_lmac.testing import short_training

pytestmark = pytest.mark.usefixtures("short_window")
YAML = str(Path(__file__).resolve().parents[1] / "hparams" / "evaluate.yaml")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Exported decoders, and ESC-50's layout with four clips in fold 3."""
    folder = tmp_path_factory.mktemp("data")
    short_training(folder)
    classifier = Mini(folder / "mini")
    settings = {"masking_law": "log", "mask_floor_db": -68.0}
    for seed, name in enumerate(("one", "other")):
        torch.manual_seed(seed)
        decoder = MaskDecoder(classifier, width=16, fine_width=8)
        checkpoint.export(folder / name, decoder, classifier, settings)
    return folder


def arguments(data, output, *named, **overrides):
    """The command line of a check."""
    given = {
        "data_folder": data / "ESC-50",
        "interpreter": data / "one",
        "output_folder": output,
        "folds": [3],
        "bootstrap_samples": 20,
        **overrides,
    }
    return [YAML, *named, *(f"--{key}={value}" for key, value in given.items())]


def written(folder, name, *figures):
    """The values and the text that a check wrote; its figures are there."""
    for figure in figures or (name,):
        assert (folder / "sanity" / f"{figure}.png").read_bytes()[:4] == b"\x89PNG"
        assert (folder / "sanity" / f"{figure}.pdf").read_bytes()[:4] == b"%PDF"
    values = pd.read_csv(folder / "sanity" / f"{name}.csv")
    return values, (folder / "sanity" / f"{name}.md").read_text()


def test_randomisation_command(data, tmp_path):
    asked = arguments(data, tmp_path, methods=["lmac_zs", "gradcam"], clips=2)
    assert randomisation.main(asked) == 0
    figures = ("randomisation", "randomisation_strip")
    values, text = written(tmp_path, "randomisation", *figures)
    assert len(values) == 2 * 2 * 7
    assert values["SSIM"].between(-1, 1.00001).all()
    assert "| GradCAM | stage 4 |" in text and "2 clips; 0 unreadable" in text


def test_prompts_command(data, tmp_path):
    asked = arguments(data, tmp_path, methods=["lmac_zs", "gradcam"])
    assert prompts.main(asked) == 0
    values, text = written(tmp_path, "prompts")
    assert len(values) == 2 * 3 * 4
    assert set(values["prompt"]) == set(prompts.ROLES)
    own = values[values["method"] == "gradcam"]
    figures = prompts.correlation, prompts.energy_ratio
    r, ratio = (tables.figure_cell(figure, own, 20, 1) for figure in figures)
    assert r.count("[") == ratio.count("[") == 1
    assert (
        f"| GradCAM | {r} | " in text
        and f" | {ratio} |" in text
        and "| LMAC-ZS | second |" in text
    )
    assert "4 clips" in text


def test_panels_command(data, tmp_path):
    asked = arguments(data, tmp_path, methods=["lmac_zs", "gradcam"], clips=2)
    assert panels.main(asked) == 0
    values, text = written(tmp_path, "panels")
    assert len(values) == 2 * 2 * 2 and set(values["prompt"]) == {"right", "wrong"}
    right = values[values["prompt"] == "right"].set_index(["clip", "method"])
    wrong = values[values["prompt"] == "wrong"].set_index(["clip", "method"])
    assert (right["similarity"] > wrong["similarity"]).all()
    assert values["sentence"][0] in text


def test_ablation_command(data, tmp_path):
    named = [f"one={data / 'one'}", f"other={data / 'other'}"]
    asked = arguments(data, tmp_path, *named)
    assert ablation.main(asked) == 0
    values, text = written(tmp_path, "ablation")
    assert values.groupby("decoder").size().eq(4 * (2 + ablation.WRONG)).all()
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line[:2] == "| "]
    header, one, other = ([cell.strip() for cell in row] for row in rows)
    assert (one[0], other[0]) == ("one", "other") and one[1:] != other[1:]
    results = pd.read_csv(tmp_path / "sanity" / "ablation" / "one" / "results.csv")
    by = results[results["condition"] == "in_domain"].set_index("method")
    for column, method, metric in (
        ("MM", "lmac_zs", "MM"),
        ("AD ↓", "lmac_zs", "AD"),
        ("constant AD", "control_constant", "AD"),
    ):
        cell = one[header.index(column)]
        assert float(cell.split()[0]) == pytest.approx(
            by.loc[method, metric].mean(), rel=0.01, abs=1e-3
        )
    assert one[header.index("SI-SDRi (dB)")] != "-"
    own = values[values["decoder"] == "one"]
    expected = tables.figure_cell(prompts.correlation, own, 20, 1)
    assert one[header.index("correlation")] == expected and "[" in expected


def test_training_sets_command(data, tmp_path):
    assert prompts.main(arguments(data, tmp_path, methods=["lmac_zs"])) == 0
    same = tmp_path / "sanity" / "clips.csv"
    rows = pd.read_csv(same)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    damaged = tmp_path / "damaged.csv"
    rows.assign(wav=rows["wav"].where(rows.index != 1, broken)).to_csv(
        damaged, index=False
    )
    named = [f"same={same}:{data / 'one'}", f"half={same}@0.5", f"bad={damaged}"]
    assert training_sets.main(arguments(data, tmp_path, *named)) == 0
    values, text = written(tmp_path, "training_sets")
    values = values.set_index("set")
    assert values["clips"].to_dict() == {"same": 4, "half": 2, "bad": 3}
    assert values.at["same", "FAD"] == pytest.approx(0, abs=1e-6)
    assert values.at["half", "FAD"] > 1e-6
    assert np.isfinite(values.at["same", "AD"]) and np.isnan(values.at["half", "AD"])
    results = tmp_path / "sanity" / "training_sets" / "same" / "results.csv"
    cells = [
        tables.mean_cell(pd.read_csv(results)[name], 20, 1)
        for name in ("AI", "AD", "AG", "FF", "FidIn", "MM")
    ]
    header = "| set | clips | FAD | AI ↑ | AD ↓ | AG ↑ | FF ↑ | FidIn ↑ | MM |"
    lines = text.splitlines()
    first = lines.index(header) + 2
    assert lines[first].split(" | ")[3:] == [*cells[:-1], f"{cells[-1]} |"]
    assert "[" in cells[1]
    assert lines[first + 1].startswith("| half | 2 | ")
    assert lines[first + 1].endswith(" - |" * 3)
    # what was compared, and what could not be read
    for said in named:
        assert said.replace("=", " ", 1) in text
    assert "Evaluation: 4 clips; 0 unreadable. same: 4 clips; 0 unreadable." in text
    assert "bad: 3 clips; 1 unreadable; " in text and str(broken) in text


def test_training_sets_without_a_decoder_have_their_distance_alone():
    values = pd.DataFrame({"set": ["a"], "clips": [3], "FAD": [0.25]})
    table = training_sets.summary(values, pd.DataFrame(), cell)
    assert table.header == ["set", "clips", "FAD"]
    assert table.rows == [["a", "3", "0.25"]]


# ---- the tables, of values made by hand ----


ASKED = ("predicted", "second", "wrong", "wrong")  # of each clip
SIMILARITY = [0.9, 0.7, 0.1, 0.3, 0.8, 0.6, 0.2, 0.15, 0.5, 0.4, 0.35, 0.25]
# the right mask is larger than the first wrong one, hardly larger, and smaller
MEANS = [0.6, 0.5, 0.2, 0.7, 0.55, 0.4, 0.5495, 0.1, 0.3, 0.25, 0.45, 0.15]
FLAT = [0.5 + 1e-4 * near for near in SIMILARITY]  # alike, but for noise
ENERGY = [0.9, 0.8, 0.2, 0.6, 0.7, 0.5, 0.4, 0.3, 0.6, 0.3, 0.1, 0.2]
AFTER = [near / 2 for near in SIMILARITY]


def cell(values):
    return f"{np.mean(values):.4f}"


def figure_cell(figure, rows):
    return f"{figure(rows):.2f}"


def prompted(column):
    """What :func:`prompts.measure` finds for two whom the column names."""
    clips = np.repeat(["b", "a", "c"], len(ASKED))
    shared = {"clip": clips, "prompt": ASKED * 3, "similarity": SIMILARITY}
    shared |= {"energy": ENERGY, "after": AFTER}
    parts = [shared | {"MM": MEANS}, shared | {"MM": FLAT}]
    names = ("gradcam", "other")
    return pd.concat(
        [
            pd.DataFrame({column: n, **part})
            for n, part in zip(names, parts, strict=True)
        ]
    )


def test_prompt_tables():
    follow, test = prompts.summaries(prompted("method"), cell, figure_cell)
    ranks = [np.argsort(np.argsort(values)) for values in (MEANS, SIMILARITY)]
    pearson, spearman = np.corrcoef(MEANS, SIMILARITY)[0, 1], np.corrcoef(ranks)[0, 1]
    assert follow.header == [
        *("method", "Pearson", "Spearman", "energy kept, wrong / predicted")
    ]
    assert follow.rows == [
        ["GradCAM", f"{pearson:.2f}", f"{spearman:.2f}", "0.41"],  # 0.3 of 2.2 / 3
        ["other", "0.00", "0.00", "0.41"],
    ]
    expected = []
    for label, means in (("GradCAM", MEANS), ("other", FLAT)):
        columns = SIMILARITY, means, ENERGY, AFTER
        expected += [
            [label, "predicted", *(cell(values[::4]) for values in columns)],
            [label, "second", *(cell(values[1::4]) for values in columns)],
            [label, "wrong", *(cell(v[2::4] + v[3::4]) for v in columns)],
        ]
    assert test.rows == expected
    header = ["similarity", "mask mean", "energy kept", "similarity after masking"]
    assert test.header == ["method", "prompt", *header]


@pytest.mark.parametrize("localised", [True, False])
def test_ablation_table(localised):
    metrics = ["AI", "AD", "AG", "FF", "FidIn", "MM"] + ["SI-SDRi"] * localised
    decoders = ("gradcam", "other")
    methods = itertools.product(("control_constant", "lmac_zs"), ("a", "b"))
    about = itertools.product(decoders, ("two_sources", "in_domain"), methods)
    figures = np.arange(16 * len(metrics)).reshape(16, -1)  # no two are the same
    rows = pd.DataFrame(figures, columns=metrics)
    rows["decoder"], rows["condition"], pairs = zip(*about, strict=True)
    rows["method"], rows["clip"] = zip(*pairs, strict=True)
    table = ablation.summary(rows, prompted("decoder"), cell, figure_cell)
    follows = f"{np.corrcoef(MEANS, SIMILARITY)[0, 1]:.2f}"
    assert len(table.rows) == 2
    for i, (decoder, larger, r) in enumerate(
        zip(decoders, ("0.3333", "0.0000"), (follows, "0.00"), strict=True)
    ):
        mixed, constant, lmac_zs = (
            dict(zip(metrics, figures[8 * i + k : 8 * i + k + 2].mean(0), strict=True))
            for k in (2, 4, 6)
        )
        expected = {"decoder": decoder}
        for metric, arrow in zip(
            metrics[:6], ("↑", "↓", "↑", "↑", "↑", ""), strict=True
        ):
            expected[f"{metric} {arrow}".strip()] = cell(lmac_zs[metric])
        for metric in ("AI", "AD", "FidIn"):
            expected[f"constant {metric}"] = cell(constant[metric])
        # of the first wrong prompt: 0.2, 0.4 and 0.1
        energy = {"energy right": "0.7333", "energy wrong": "0.2333"}
        expected |= {"right > wrong": larger} | energy | {"correlation": r}
        expected["SI-SDRi (dB)"] = cell(mixed["SI-SDRi"]) if localised else "-"
        assert list(zip(table.header, table.rows[i], strict=True)) == [
            *expected.items()
        ]


# ---- bad input, overrides ----


@pytest.mark.parametrize(
    "main, named, given, said",
    [
        (randomisation.main, [], {"data_folder": "nowhere"}, "nowhere"),
        (prompts.main, [], {"methods": ["gradcam", "tea"]}, "'tea'"),
        (prompts.main, [], {"domains": "[stft, mel]"}, "domains"),
        (prompts.main, [], {"domains": "[stft"}, "check their brackets"),
        (prompts.main, [], {"methods": "[control_ones]"}, "'control_ones'"),
        (prompts.main, [], {"conditions": "[speech]"}, "conditions: checks"),
        (ablation.main, ["a=b"], {"conditions": "[speech]"}, "conditions: checks"),
        (panels.main, [], {"folds": [9]}, "[9]"),
        (ablation.main, [], {}, "NAME=FOLDER"),
        (ablation.main, ["one"], {}, "'one'"),
        (ablation.main, ["a=nowhere"], {}, "nowhere"),
        (training_sets.main, [], {}, "NAME=FILE"),
        (training_sets.main, ["a=nowhere.csv"], {}, "nowhere.csv"),
        (training_sets.main, ["a=b.csv@2"], {}, "b.csv@2"),
    ],
)
def test_bad_input_is_one_line(data, tmp_path, capsys, main, named, given, said):
    assert main(arguments(data, tmp_path, *named, **given)) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and said in error


def test_unreadable_clips_are_named_and_counted(data, tmp_path):
    folder = tmp_path / "ESC-50"
    shutil.copytree(data / "ESC-50", folder)
    broken = sorted((folder / "audio").glob("3-*"))[0]
    broken.write_bytes(b"no sound")
    asked = arguments(data, tmp_path, data_folder=folder, methods=["lmac_zs"])
    assert panels.main(asked) == 0
    values, text = written(tmp_path, "panels")
    assert values["clip"].nunique() == 3 and broken.stem not in set(values["clip"])
    assert "3 clips; 1 unreadable" in text and broken.name in text


def test_overrides_win_over_the_defaults_of_a_check(data, tmp_path):
    seen = []
    asked = arguments(data, tmp_path, clips=1)
    assert command.run(seen.append, asked, clips=40, seed=5) == 0
    assert (seen[0].hparams["clips"], seen[0].hparams["seed"]) == (1, 5)
