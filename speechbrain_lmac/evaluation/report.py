"""What is written when all clips are measured: results, tables, figures."""

import pandas as pd

from speechbrain_lmac import atomic
from speechbrain_lmac.evaluation import figures, published, rendering, tables
from speechbrain_lmac.metrics import METRICS

FIRST = [*"clip method domain condition true predicted p o q".split(), *METRICS]
_CURVES = ["deletion curve", "insertion curve"]
_NEEDED = {
    "control_other": "needs a clip of another class",
    "control_ideal": "needs to know the sources",
}
_NAMED = 10  # of many clips that were skipped
_NOTES = """\
Means over clips with 95 % bootstrap intervals (percentiles). FF: in brackets its share
of the mean confidence, which is its ceiling. `seconds` a clip (median), for the
explanation alone, with the clip encoded before; what several methods share counts for
each: gradients, and for gScoreCAM its part of Score-CAM's passes. p-values, where there
are some, are of two-sided permutation tests. AI and AG count growth above 1e-4 of a
probability (raw: 1e-4 over the temperature), so that rounding is none. In mixtures a
silent explanation has 0 dB SI-SDR. What masks on mel bands keep cannot be played: no
heard figures."""
_TAKEN_OVER = """\
What does not depend on the decoder was measured before, in a run of the same settings
with another decoder (baselines_from), its `seconds` too."""
_PAPER = """\
Lines with "paper" are what arXiv 2405.17615 prints, for another classifier and other
clips (accuracy {mel} % mel, {stft} % stft): its AD has the range of probabilities that
went through a softmax twice and stands under `AD (double softmax)`; its FF with STFT
masking is the mean confidence whatever a mask removes, and no target."""


def write(folder, records, unreadable, hparams):
    """Writes ``results.csv``, ``curves.csv``, ``table.md``, ``table.tex``, figures.

    Arguments
    ---------
    folder : Path
        The results folder.
    records : list of dict
        Of the journal, one for each clip, in the order of the clips.
    unreadable : list of str
        What was said of clips that were skipped, missing or damaged.
    hparams : dict
        The loaded yaml, and the interpreter's ``masking`` in words.

    Returns
    -------
    None
    """
    rows = pd.DataFrame([row for r in records for row in r["rows"]])
    order = {name: i for i, name in enumerate(hparams["methods"])}
    rows = rows.sort_values("method", key=lambda m: m.map(order), kind="stable")
    place = {r["clip"]: i for i, r in enumerate(records)}
    by_clip = rows.sort_values("clip", key=lambda c: c.map(place), kind="stable")
    further = [c for c in rows.columns if c not in FIRST and c not in _CURVES]
    text = by_clip[FIRST + further].to_csv(index=False)
    atomic.write(folder / "results.csv", text)
    setting, samples = hparams["dataset"], hparams["bootstrap_samples"]
    markdown, latex = [f"# {setting}"], []
    for (condition, domain), part in rows.groupby(["condition", "domain"], sort=False):
        accuracy = (part["true"] == part["predicted"]).mean()
        name = f"{setting}, {condition}, {domain} masking"
        clips = part["clip"].nunique()
        title = f"{name}: {clips} clips, accuracy {100 * accuracy:.1f} %"
        markdown.append(f"## {title}")
        found = tables.method_tables(part, setting, samples, hparams["seed"])
        versus = tables.comparison(part, samples, hparams["seed"])
        for table in [*found, *([versus] if versus else [])]:
            markdown.append(rendering.markdown(table))
            latex.append(rendering.latex(table, title))
        latex.append(r"\clearpage")  # LaTeX holds 52 tables at most
    notes = footer(rows, unreadable, hparams)
    atomic.write(folder / "table.md", "\n\n".join([*markdown, *notes]) + "\n")
    comments = "\n".join(f"% {line}" for note in notes for line in note.splitlines())
    atomic.write(folder / "table.tex", "\n\n".join([*latex, comments]) + "\n")
    figures.draw(folder, rows, hparams["curve_fractions"])


def footer(rows, unreadable, hparams):
    """What a reader of the tables must know.

    Arguments
    ---------
    rows : pandas.DataFrame
        All rows.
    unreadable : list of str
        What was said of clips that were skipped, missing or damaged.
    hparams : dict
        The loaded yaml, and the interpreter's ``masking`` in words.

    Returns
    -------
    list of str
        Paragraphs.
    """
    clips = f"{rows['clip'].nunique()} clips; {len(unreadable)} skipped as unreadable"
    named = unreadable[:_NAMED] + ["..."] * (len(unreadable) > _NAMED)
    notes = [clips + ("" if not unreadable else ": " + "; ".join(named)) + "."]
    empty = rows[rows["MM"] == 0].groupby("method", sort=False).size()
    if len(empty):
        counts = ", ".join(f"{tables.METHODS.get(m, m)} {n}" for m, n in empty.items())
        notes.append(f"Empty masks, which count as they are: {counts}.")
    if "silent target" in rows:
        silent = rows[rows["silent target"] == 1]["clip"].nunique()
        notes.append(f"Silent targets, left out of the localisation: {silent}.")
    found = list(rows["condition"].unique())
    absent = [name for name in hparams["conditions"] if name not in found]
    if absent:
        notes.append(
            f"Conditions left out, without a folder or a method: {', '.join(absent)}."
        )
    notes += left_out(rows, hparams["methods"])
    if hparams["baselines_from"] is not None:
        notes.append(_TAKEN_OVER)
    notes.append(_NOTES)
    shown = zip(rows["condition"], rows["domain"], strict=True)
    if any((hparams["dataset"], *key) in published.FIGURES for key in set(shown)):
        notes.append(_PAPER.format(**published.ACCURACY))
    told = "seed folds interpreter masking template scale".split()
    said = [f"{key} {hparams[key]}" for key in told]
    for name in found:
        snr_db = getattr(hparams["known_conditions"][name], "snr_db", None)
        said += [] if snr_db is None else [f"{name} at {snr_db:g} dB"]
    notes.append(f"Settings: {', '.join(said)}; all of them in hyperparams.yaml.")
    return notes


def left_out(rows, methods):
    """Which methods have no row in a condition that has some.

    Arguments
    ---------
    rows : pandas.DataFrame
        All rows.
    methods : sequence of str
        Those that were asked for.

    Returns
    -------
    list of str
        One paragraph, or none.
    """
    said = []
    for method in methods:
        known = set(rows[rows["method"] == method]["condition"])
        absent = [name for name in rows["condition"].unique() if name not in known]
        if absent:
            reason = f" ({_NEEDED[method]})" if method in _NEEDED else ""
            said.append(f"{method} in {', '.join(absent)}{reason}")
    return [f"Methods left out: {'; '.join(said)}."] if said else []
