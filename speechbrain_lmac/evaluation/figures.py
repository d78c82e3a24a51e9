"""Figures of an evaluation, as PNG and PDF."""

import numpy as np

from speechbrain_lmac import atomic
from speechbrain_lmac.evaluation.tables import METHODS


def draw(folder, rows, fractions):
    """Draws the curves of all methods, and each method's mask mean and similarity.

    Arguments
    ---------
    folder : Path
        The results folder; figures go into ``figures/``, the curves' points into
        ``curves.csv``.
    rows : pandas.DataFrame
        Of the journal.
    fractions : sequence of float
        Where the curves were measured, without 0 and 1.

    Returns
    -------
    None
    """
    points = []
    for (condition, domain), part in rows.groupby(["condition", "domain"], sort=False):
        name, title = f"{condition}_{domain}", f"{condition}, {domain} masking"
        if "deletion curve" in rows:
            curves = mean_curves(part, fractions)
            points.append(curves.assign(condition=condition, domain=domain))
            save(curve_figure(curves, title), folder / "figures" / f"curves_{name}")
        save(scatter_figure(part, title), folder / "figures" / f"scatter_{name}")
    if points:
        import pandas as pd

        text = pd.concat(points).to_csv(index=False)
        atomic.write(folder / "curves.csv", text)


def mean_curves(rows, fractions):
    """Deletion and insertion, averaged over clips.

    Arguments
    ---------
    rows : pandas.DataFrame
        Of one condition and domain, with ``deletion curve`` and ``insertion curve``.
    fractions : sequence of float
        Without 0 and 1.

    Returns
    -------
    pandas.DataFrame
        ``method``, ``fraction``, ``deletion`` and ``insertion``.
    """
    import pandas as pd

    parts = []
    for method, own in rows.groupby("method", sort=False):
        columns = {
            name: np.mean(own[f"{name} curve"].tolist(), axis=0)
            for name in ("deletion", "insertion")
        }
        frame = {"method": method, "fraction": [0.0, *fractions, 1.0]} | columns
        parts.append(pd.DataFrame(frame))
    return pd.concat(parts, ignore_index=True)


def curve_figure(curves, title):
    """Two panels: what deleting and what inserting the best bins does.

    Arguments
    ---------
    curves : pandas.DataFrame
        From :func:`mean_curves`.
    title : str
        Above both.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = _panels(1, 2, title)
    for axis, name in zip(axes[0], ("deletion", "insertion"), strict=True):
        for method, own in curves.groupby("method", sort=False):
            dashes = ":" if method.startswith("control_") else "-"
            label = METHODS.get(method, method)
            axis.plot(own["fraction"], own[name], dashes, label=label)
        axis.set(xlabel="share of the bins", title=name, ylim=(0, 1))
    axes[0][0].set_ylabel("probability of the explained class")
    handles = axes[0][0].get_lines()
    figure.legend(handles=handles, loc="outside right center", fontsize="small")
    return figure


def scatter_figure(rows, title):
    """A panel for each method: mask mean against the prompt's similarity, by clip.

    Each clip has one prompt, and the title says which: over these alone similarity
    hardly varies. Right and wrong prompts are in the figure of ``prompts``.

    Arguments
    ---------
    rows : pandas.DataFrame
        Of one condition and domain.
    title : str
        Above all.

    Returns
    -------
    matplotlib.figure.Figure
    """
    methods = list(rows["method"].unique())
    wide = min(4, len(methods))
    predicted = (rows["explained"] == rows["predicted"]).all()
    prompts = "predicted prompts alone" if predicted else "prompts of the labels alone"
    title = f"{title}: {prompts}"
    figure, axes = _panels(-(-len(methods) // wide), wide, title)
    for axis, method in zip(axes.flat, methods, strict=False):
        own = rows[rows["method"] == method]
        axis.plot(own["similarity"], own["MM"], ".", markersize=3)
        label = METHODS.get(method, method)
        spread = own[["similarity", "MM"]].std().min()
        if len(own) > 1 and spread > 1e-9:
            label += f", r = {own['similarity'].corr(own['MM']):.2f}"
        axis.set_ylim(0, 1)
        axis.set_title(label, fontsize="small")
    figure.supxlabel("similarity of clip and prompt", fontsize="medium")
    figure.supylabel("mask mean", fontsize="medium")
    for axis in axes.flat[len(methods) :]:
        axis.axis("off")
    return figure


def save(figure, stem):
    """Writes a figure as PNG and PDF, the same bytes for the same figure.

    Arguments
    ---------
    figure : matplotlib.figure.Figure
        Drawn.
    stem : Path
        Without suffix.

    Returns
    -------
    None
    """
    import io

    for suffix, metadata in ((".png", None), (".pdf", {"CreationDate": None})):
        file = io.BytesIO()
        figure.savefig(file, format=suffix[1:], dpi=150, metadata=metadata)
        atomic.write(stem.with_suffix(suffix), file.getvalue())
        figure.set_layout_engine("none")  # laid out once: half of the time


def _panels(rows, columns, title):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (3.2 * columns, 2.4 * rows + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    return figure, axes
