"""Intervals, paired tests and tables, on rows whose answers are known."""

import numpy as np
import pandas as pd
import pytest

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.evaluation import figures, published, rendering, tables
from speechbrain_lmac.evaluation.provenance import check_unchanged
from speechbrain_lmac.evaluation.statistics import (
    confidence_interval,
    figure_interval,
    paired_test,
)
from speechbrain_lmac.metrics import METRICS

CLIPS = 40


@pytest.fixture(scope="module")
def rows():
    """LMAC-ZS better than Grad-CAM by 0.1 of FF on every clip, on noisy clips."""
    draw = np.random.default_rng(0)
    clips = draw.uniform(0.3, 0.5, CLIPS)
    methods = {"lmac_zs": 0.1, "gradcam": 0.0, "gradcam++": -0.1, "control_ones": 0.2}
    table = []
    for method, better in methods.items():
        for clip, level in enumerate(clips):
            row = dict.fromkeys(METRICS, 0.5) | {"AD (double softmax)": 10.0}
            row |= {"FF": level + better, "p": 0.8, "similarity": level, "seconds": 0.1}
            row |= {"AD": 40 * level - 10 * better, "share": np.nan}
            about = {"clip": f"c{clip}", "method": method}
            about |= {"predicted": "rain", "explained": "rain"}
            table.append(about | {"condition": "in_domain", "domain": "stft"} | row)
    return pd.DataFrame(table)


# ---- statistics ----


def test_an_interval_is_that_of_the_normal_approximation():
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    low, high = confidence_interval(values, samples=4000)
    spread = 1.96 * values.std() / np.sqrt(400)
    assert (low, high) == pytest.approx(
        (values.mean() - spread, values.mean() + spread), abs=0.04
    )


def test_intervals_repeat_and_have_defined_ends():
    values = np.random.default_rng(1).normal(size=30)
    assert confidence_interval(values, 100) == confidence_interval(values, 100)
    assert confidence_interval(values, 100) != confidence_interval(values, 100, seed=1)
    assert confidence_interval(np.full(5, 2.0)) == (2, 2)
    assert confidence_interval(np.array([2.0])) is None
    assert confidence_interval(np.array([])) is None


def test_the_interval_of_a_mean_is_one_of_the_figures():
    draw = np.random.default_rng(2)
    values = draw.normal(size=25)
    rows = pd.DataFrame({"clip": [f"c{i}" for i in range(25)], "x": values})
    found = figure_interval(lambda some: some["x"].mean(), rows, 200, seed=3)
    assert found == pytest.approx(confidence_interval(values, 200, seed=3))
    assert figure_interval(lambda some: some["x"].mean(), rows[:1]) is None


def test_the_interval_of_a_correlation_is_fishers():
    """Of pairs that clips have one each; with three a clip it does not shrink."""
    draw = np.random.default_rng(4)
    x = draw.normal(size=400)
    y = 0.6 * x + 0.8 * draw.normal(size=400)
    rows = pd.DataFrame({"clip": np.arange(400), "x": x, "y": y})

    def correlation(some):
        return np.corrcoef(some["x"], some["y"])[0, 1]

    center = np.arctanh(correlation(rows))
    expected = np.tanh(center + np.array([-1.96, 1.96]) / np.sqrt(397))
    assert figure_interval(correlation, rows) == pytest.approx(expected, abs=0.02)
    again = pd.concat([rows] * 3, ignore_index=True)
    found = figure_interval(correlation, again)
    assert found == pytest.approx(figure_interval(correlation, rows))


def test_paired_test_is_exact_for_few_clips():
    """Of 2^n exchanges of signs, those at least as far from 0; both sides."""
    ours, theirs = np.array([3.0, 1.0, 4.0, 1.5]), np.array([1.0, 1.5, 2.0, 0.0])
    difference = ours - theirs
    signs = np.array(np.meshgrid(*[[1, -1]] * 4)).reshape(4, -1)
    means = (signs * difference[:, None]).mean(0)
    slow = np.mean(np.abs(means) >= abs(difference.mean()) - 1e-12)
    assert paired_test(ours, theirs) == pytest.approx(slow)


def test_paired_test_without_a_difference():
    same = np.arange(10.0)
    assert paired_test(same, same) == 1
    assert paired_test(np.array([1.0]), np.array([2.0])) == 1


def test_paired_test_sees_through_differences_of_clips(rows):
    """Clips differ more than methods: unpaired, there would be nothing to see."""
    by_clip = rows.pivot(index="clip", columns="method", values="FF")
    assert paired_test(by_clip["lmac_zs"], by_clip["gradcam"], 1000) < 0.01


# ---- tables ----


def test_methods_against_metrics(rows):
    first, *_ = tables.method_tables(rows, "ESC-50", 100, 0)
    assert first.header == [
        *("method", "AI ↑", "AD ↓", "AG ↑", "FF ↑", "FidIn ↑", "SPS ↑", "COMP ↓"),
        *("MM", "AD (double softmax) ↓", "seconds"),
    ]
    names = [row[0] for row in first.rows]
    assert names == [
        *("LMAC-ZS", "LMAC-ZS, paper", "GradCAM", "GradCAM, paper", "GradCAM++"),
        *("GradCAM++, paper", "control_ones"),
    ]
    ours, paper = first.rows[:2]
    mean = rows[rows["method"] == "lmac_zs"]["FF"].mean()
    assert ours[4].startswith(f"{mean:.3g} [")
    assert ours[4].endswith(f"({100 * mean / 0.8:.0f} %)")
    # the published AD stands where ours is computed in the same way
    assert paper[first.header.index("AD ↓")] == "-"
    assert paper[first.header.index("AD (double softmax) ↓")] == "4.29"


def test_other_sets_have_no_published_figures(rows):
    first, *_ = tables.method_tables(rows, "UrbanSound8K", 100, 0)
    assert not [row for row in first.rows if "paper" in row[0]]


def test_columns_without_a_value_are_left_out(rows):
    titles = [t.title for t in tables.method_tables(rows, "ESC-50", 100, 0)]
    assert titles == ["Faithfulness"]
    assert tables.mean_cell(rows["share"], 100, 0) == "-"


def test_one_clip_has_no_interval(rows):
    one = rows[rows["clip"] == "c0"]
    for table in tables.method_tables(one, "ESC-50", 100, 0):
        assert not any("[" in cell for cell in table.rows[0])
    assert tables.comparison(one, 100, 0).rows[0][-1] == "1"


def test_a_figure_and_its_interval(rows):
    def share(some):
        return some["FF"].sum() / some["p"].sum()

    own = rows[rows["method"] == "lmac_zs"]
    low, high = figure_interval(share, own, 100, 0)
    text = f"{share(own):.2f} [{low:.2f}, {high:.2f}]"
    assert tables.figure_cell(share, own, 100, 0) == text and low < share(own) < high
    assert tables.figure_cell(share, own[:1], 100, 0) == f"{share(own[:1]):.2f}"


def test_comparison_takes_the_best_explainer_and_no_control(rows):
    table = tables.comparison(rows, 500, 0)
    by_metric = {row[0]: row for row in table.rows}
    for name in ("FF ↑", "AD ↓"):
        assert by_metric[name][2] == "GradCAM"  # not control_ones, which is better
        assert float(by_metric[name][-1]) < 0.01
    assert by_metric["FF ↑"][4].startswith("0.1 [")
    assert by_metric["AI ↑"][-1] == "1"
    assert not any(name.startswith("MM") for name in by_metric)
    alone = rows[rows["method"].isin(["lmac_zs", "control_ones"])]
    assert tables.comparison(alone, 100, 0) is None


def test_latex_is_escaped():
    table = rendering.Table(
        "50 % & more", ["method", "AI ↑"], [["control_ones", "5_0"]]
    )
    text = rendering.latex(table, "a_b")
    assert r"\caption{a\_b. 50 \% \& more.}" in text
    assert r"method & AI $\uparrow$ \\" in text and r"control\_ones & 5\_0 \\" in text
    assert r"\begin{tabular}{lr}" in text
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_published_figures_are_complete():
    for figures_of in published.FIGURES.values():
        assert figures_of.keys() <= tables.METHODS.keys()
        assert all(len(f) == len(published.COLUMNS) for f in figures_of.values())


# ---- figures ----


def test_mean_curves():
    rows = pd.DataFrame(
        {
            "method": ["a", "a", "b"],
            "deletion curve": [[1.0, 0.5, 0.0], [0.6, 0.3, 0.2], [1.0, 1.0, 1.0]],
            "insertion curve": [[0.0, 0.5, 1.0], [0.2, 0.1, 0.6], [0.0, 0.0, 0.0]],
        }
    )
    curves = figures.mean_curves(rows, [0.1])
    first = curves[curves["method"] == "a"]
    assert first["fraction"].tolist() == [0, 0.1, 1]
    assert first["deletion"].tolist() == pytest.approx([0.8, 0.4, 0.1])
    assert first["insertion"].tolist() == pytest.approx([0.1, 0.3, 0.8])


def test_scatter_says_the_correlation(rows):
    varied = rows.assign(MM=rows["similarity"].where(rows["method"] == "lmac_zs", 0.5))
    figure = figures.scatter_figure(varied, "in_domain")
    titles = [axis.get_title() for axis in figure.axes]
    assert "LMAC-ZS, r = 1.00" in titles
    assert "GradCAM" in titles  # of a constant there is none


@pytest.mark.parametrize(
    ("explained", "said"),
    [("rain", "predicted prompts alone"), ("wind", "prompts of the labels alone")],
)
def test_scatter_says_of_which_prompts_it_is(rows, explained, said):
    figure = figures.scatter_figure(rows.assign(explained=explained), "speech, mel")
    assert figure.get_suptitle() == f"speech, mel: {said}"


# ---- settings ----


def test_settings_are_compared_by_key(tmp_path):
    file = tmp_path / "settings.json"
    check_unchanged(file, {"seed": "1", "methods": ["a"]})
    check_unchanged(file, {"seed": "1", "methods": ["a"]})
    with pytest.raises(ConfigError, match=r"other settings \(methods, snr_db\)"):
        check_unchanged(file, {"seed": "1", "methods": ["b"], "snr_db": "3.0"})
    file.write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        check_unchanged(file, {"seed": "1"})
