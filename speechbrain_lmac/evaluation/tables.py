"""Tables laid out as the paper's: methods down, metrics across."""

from speechbrain_lmac.evaluation.statistics import confidence_interval
from speechbrain_lmac.metrics import METRICS


def markdown(rows, unreadable, hparams):
    """All tables as one text.

    Arguments
    ---------
    rows : pandas.DataFrame
        Of ``results.csv``.
    unreadable : list of str
        What was said of clips that were skipped.
    hparams : dict
        The loaded yaml.

    Returns
    -------
    str
    """
    lines = []
    for (condition, domain), part in rows.groupby(["condition", "domain"], sort=False):
        lines += [f"## {condition}, {domain}", ""]
        lines += ["| method | " + " | ".join(METRICS) + " |"]
        lines += ["|---|" + "---|" * len(METRICS)]
        for method, own in part.groupby("method", sort=False):
            cells = []
            for name in METRICS:
                interval = confidence_interval(own[name], hparams["bootstrap_samples"])
                cell = f"{own[name].mean():.4g}"
                cells.append(
                    cell + (" [{:.4g}, {:.4g}]".format(*interval) if interval else "")
                )
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        lines.append("")
    lines.append(f"{rows['clip'].nunique()} clips, {len(unreadable)} unreadable.")
    return "\n".join(lines) + "\n"
