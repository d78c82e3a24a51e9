"""Tables of an evaluation, laid out as the paper's: methods down, metrics across."""

from speechbrain_lmac.evaluation import published
from speechbrain_lmac.evaluation.rendering import Table
from speechbrain_lmac.evaluation.statistics import (
    confidence_interval,
    figure_interval,
    paired_test,
)
from speechbrain_lmac.metrics import FURTHER, METRICS

METHODS = {
    "lmac_zs": "LMAC-ZS",
    "gradcam": "GradCAM",
    "gradcam++": "GradCAM++",
    "smoothgrad": "SmoothGrad",
    "integrated_gradients": "IG",
    "scorecam": "ScoreCAM",
    "gscorecam": "GScoreCAM",
}
GROUPS = {
    "Faithfulness": [*METRICS, "AD (double softmax)", "seconds"],
    "Raw similarities: softmax without the temperature": [
        f"raw {name}" for name in ("AI", "AD", "AG", "FF")
    ],
    "Heard: the explanation's waveform, classified from the start": [
        f"heard {name}" for name in ("AI", "AD", "FidIn")
    ],
    "Gain test: the mask times 0.01": [
        f"gain {name}" for name in ("AI", "AD", "AG", "FF", "FidIn")
    ],
    "Areas under the deletion and insertion curves": ["deletion", "insertion"],
    "Localisation of the prompted source": ["share", "IoU", "SI-SDRi"],
}
SHOWN = ("AI", "AD", "AG", "FF", "FidIn", "MM")  # where decoders are compared
_ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}
_PUBLISHED = "AD (double softmax)"  # says something beside published figures alone


def metric(column):
    """Range and direction of a column: ``heard AD`` has those of AD.

    Arguments
    ---------
    column : str
        Of ``results.csv``.

    Returns
    -------
    Metric or None
        None for a column that is no metric, and for the gain test, whose figures say
        what a metric makes of a faint mask, not how good the mask is.

    Example
    -------
    >>> metric("heard AD").better, metric("gain AD")
    ('lower', None)
    """
    every = METRICS | FURTHER
    for prefix in ("raw ", "heard "):
        column = column.removeprefix(prefix)
    return every.get(column)


def heading(column):
    """A column's name, with an arrow where there is a better and a worse.

    Arguments
    ---------
    column : str
        Of ``results.csv``.

    Returns
    -------
    str

    Example
    -------
    >>> heading("AD"), heading("MM")
    ('AD ↓', 'MM')
    """
    kind = metric(column)
    return column + _ARROWS[kind.better] if kind else column


def mean_cell(values, samples, seed):
    """A mean and its 95 % interval as text.

    Arguments
    ---------
    values : pandas.Series
        One for each clip; NaN where there is none.
    samples : int
        Resamples of the bootstrap.
    seed : int
        Of the bootstrap.

    Returns
    -------
    str
        Without an interval for a single clip, "-" for none.
    """
    values = values.dropna().to_numpy()
    if not len(values):
        return "-"
    interval = confidence_interval(values, samples, seed)
    cell = f"{values.mean():.3g}"
    return cell + (f" [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else "")


def figure_cell(figure, rows, samples, seed):
    """A figure that is no mean, and its 95 % interval over clips, as text.

    Arguments
    ---------
    figure : callable
        From rows to a number.
    rows : pandas.DataFrame
        With a column ``clip``.
    samples : int
        Resamples of the bootstrap.
    seed : int
        Of the bootstrap.

    Returns
    -------
    str
        Without an interval for a single clip.
    """
    interval = figure_interval(figure, rows, samples, seed)
    cell = f"{figure(rows):.2f}"
    return cell + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def method_tables(rows, dataset, samples, seed):
    """Methods against metrics, for one condition and domain.

    Arguments
    ---------
    rows : pandas.DataFrame
        Of ``results.csv``, of that condition and domain.
    dataset : str
        Whose published figures to set beside ours.
    samples : int
        Resamples of the bootstrap.
    seed : int
        Of the bootstrap.

    Returns
    -------
    list of Table
    """
    condition, domain = rows[["condition", "domain"]].iloc[0]
    printed = published.FIGURES.get((dataset, condition, domain), {})
    tables = []
    for title, columns in GROUPS.items():
        columns = [c for c in columns if c in rows and rows[c].notna().any()]
        if _PUBLISHED in columns and not printed:
            columns.remove(_PUBLISHED)
        if not columns:
            continue
        table = Table(title, ["method", *map(heading, columns)])
        for method, own in rows.groupby("method", sort=False):
            cells = [mean_cell(own[c], samples, seed) for c in columns]
            if "FF" in columns:  # removing all costs the confidence, no more
                share = own["FF"].mean() / own["p"].mean()
                cells[columns.index("FF")] += f" ({100 * share:.0f} %)"
            if "seconds" in columns:
                cells[columns.index("seconds")] = f"{own['seconds'].median():.2g}"
            table.rows.append([METHODS.get(method, method), *cells])
            if title == "Faithfulness" and method in printed:
                theirs = dict(zip(published.COLUMNS, printed[method], strict=True))
                cells = [f"{theirs[c]:g}" if c in theirs else "-" for c in columns]
                table.rows.append([f"{METHODS[method]}, paper", *cells])
        tables.append(table)
    return tables


def comparison(rows, samples, seed):
    """LMAC-ZS against the best of the other explainers, metric by metric.

    Arguments
    ---------
    rows : pandas.DataFrame
        Of ``results.csv``, of one condition and domain.
    samples : int
        Permutations, and resamples of the bootstrap.
    seed : int
        Of both.

    Returns
    -------
    Table or None
        None where there is no other explainer, or no LMAC-ZS.
    """
    others = [m for m in rows["method"].unique() if not m.startswith("control_")]
    if "lmac_zs" not in others or len(others) < 2:
        return None
    others.remove("lmac_zs")
    header = ["metric", "LMAC-ZS", "best other", "its mean", "difference", "p"]
    table = Table("LMAC-ZS against the best other explainer, paired by clip", header)
    for name in rows.columns:
        kind = metric(name)
        if not kind or not kind.better or name == _PUBLISHED:
            continue
        by_clip = rows.pivot(index="clip", columns="method", values=name)
        by_clip = by_clip[["lmac_zs", *others]].dropna()
        if by_clip.empty:
            continue
        means = by_clip[others].mean()
        best = means.idxmax() if kind.better == "higher" else means.idxmin()
        difference = by_clip["lmac_zs"] - by_clip[best]
        p = paired_test(by_clip["lmac_zs"], by_clip[best], samples, seed)
        table.rows.append(
            [
                heading(name),
                mean_cell(by_clip["lmac_zs"], samples, seed),
                METHODS.get(best, best),
                mean_cell(by_clip[best], samples, seed),
                mean_cell(difference, samples, seed),
                f"{p:.2g}",
            ]
        )
    return table
