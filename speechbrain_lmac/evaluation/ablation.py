"""Trained decoders side by side: one table, and what their masks keep.

    python -m speechbrain_lmac.evaluation.ablation hparams/evaluate.yaml \\
        default=results/a/export paper=results/b/export --data_folder DIR/ESC-50

``benchmarks/ablation.py`` trains the variants that the paper and the README speak of.
Every decoder is evaluated as ``evaluate.py`` does, and explains right and wrong prompts
of the same clips: the 2-D histograms are those of mask mean and similarity after
masking, the paper's figure on its diversity term.
"""

import sys

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.evaluation import command, prompts
from speechbrain_lmac.evaluation.rendering import Table
from speechbrain_lmac.evaluation.tables import SHOWN, heading

WRONG = 8  # wrong prompts of each clip in the histograms, where there are as many


def measure(asked, exports):
    """Faithfulness, localisation, and the prompt test of several decoders.

    Arguments
    ---------
    asked : Command
        The evaluation's settings.
    exports : dict of str to str
        Folders that ``train.py`` exported, by the decoder's name.

    Returns
    -------
    rows : pandas.DataFrame
        Those of ``results.csv`` of all decoders, with a column ``decoder``: in-domain
        clips and mixtures of two, LMAC-ZS and the constant control.
    values : pandas.DataFrame
        From ``prompts.measure``, with a column ``decoder``.
    """
    import pandas as pd

    rows, values = [], []
    for name, folder in exports.items():
        print(f"{name}: {folder}")
        found = asked.results(
            interpreter=folder,
            output_folder=str(asked.folder / "ablation" / name),
            methods=["lmac_zs", "control_constant"],
            conditions=["in_domain", "two_sources"],
            curve_fractions=[],
        )
        rows.append(found.assign(decoder=name))
        study = asked.study(interpreter=folder, methods=["lmac_zs"])
        found = prompts.measure(study, WRONG, asked.hparams["seed"])
        values.append(found.assign(decoder=name))
    return pd.concat(rows, ignore_index=True), pd.concat(values, ignore_index=True)


def summary(rows, values, cell, figure_cell):
    """A row for each decoder.

    Arguments
    ---------
    rows : pandas.DataFrame
        From :func:`measure`.
    values : pandas.DataFrame
        From :func:`measure`.
    cell : callable
        From values to the text of their mean.
    figure_cell : callable
        From a figure of rows, and rows, to its text.

    Returns
    -------
    Table
    """
    header = [heading(name) for name in SHOWN]
    header += [f"constant {name}" for name in ("AI", "AD", "FidIn")]
    header += ["right > wrong", "energy right", "energy wrong", "correlation"]
    table = Table("Decoders", ["decoder", *header, "SI-SDRi (dB)"])
    for name, own in rows.groupby("decoder", sort=False):
        by = own.set_index(["condition", "method"]).sort_index()
        clips, mixed = by.loc["in_domain"], by.loc["two_sources"]
        cells = [cell(clips.loc[["lmac_zs"], metric]) for metric in SHOWN]
        control = clips.loc[["control_constant"]]
        cells += [cell(control[metric]) for metric in ("AI", "AD", "FidIn")]
        asked = values[values["decoder"] == name]
        first = asked[asked["prompt"] == "predicted"].set_index("clip")
        # the first of the drawn, so that each clip counts once
        wrong = asked[asked["prompt"] == "wrong"].groupby("clip").first()
        less = wrong["MM"].reindex(first.index) + prompts.ALIKE
        larger = (first["MM"] > less).astype(float)
        cells += [cell(larger), cell(first["energy"]), cell(wrong["energy"])]
        cells += [figure_cell(prompts.correlation, asked)]
        gain = mixed.loc[["lmac_zs"]].get("SI-SDRi")
        table.rows.append([name, *cells, "-" if gain is None else cell(gain)])
    return table


def plot(values):
    """2-D histograms of mask mean and similarity after masking, side by side.

    Arguments
    ---------
    values : pandas.DataFrame
        From :func:`measure`.

    Returns
    -------
    matplotlib.figure.Figure
        All panels have the same bins and colours.
    """
    import numpy as np
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    names = values["decoder"].unique()
    low, high = values["after"].min(), values["after"].max()
    bins = [np.linspace(low, high + 1e-6, 31), np.linspace(0, 1, 31)]
    counts = {
        name: np.histogram2d(own["after"], own["MM"], bins)[0]
        for name, own in values.groupby("decoder")
    }
    top = max(count.max() for count in counts.values())
    wide = min(3, len(names))
    tall = -(-len(names) // wide)
    figure = Figure(figsize=(3.6 * wide + 0.8, 0.6 + 3.2 * tall), layout="constrained")
    axes = figure.subplots(tall, wide, squeeze=False, sharex=True, sharey=True)
    for axis, name in zip(axes.flat, names, strict=False):
        shown = axis.pcolormesh(*bins, counts[name].T, norm=LogNorm(1, max(top, 2)))
        axis.set_title(name)
        axis.set(xlabel="similarity after masking", ylabel="mask mean")
        axis.tick_params(labelbottom=True)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    figure.colorbar(shown, ax=axes, label="pairs of clip and prompt")
    figure.suptitle("Mask mean and similarity after masking")
    return figure


def _check(asked):
    """The comparison of decoders, from the command line to the files."""
    if not asked.named:
        raise ConfigError("no decoder is named: give NAME=FOLDER, one or several")
    rows, values = measure(asked, asked.named)
    table = summary(rows, values, asked.cell, asked.figure_cell)
    prompted = values.groupby(["decoder", "clip"]).size().max()
    folders = ", ".join(f"{name} {folder}" for name, folder in asked.named.items())
    notes = [
        f"Constant: the same mean everywhere. Energy: share of the clip's that masks "
        f"of the predicted and of a wrong prompt keep. Correlation of mask mean and "
        f"similarity over {prompted} prompts a clip. Brackets: 95 % bootstrap "
        "intervals over clips.",
        f"{values['clip'].nunique()} clips. Decoders: {folders}.",
    ]
    told = ("dataset", "folds", "clips", "template", "domains", "seed")
    asked.write("ablation", values, [table], {"ablation": plot(values)}, notes, told)


def main(arguments):
    """Command line; by default on a fold that is not kept for the final figures.

    Arguments
    ---------
    arguments : list of str
        As :func:`~speechbrain_lmac.evaluation.command.run` takes them.

    Returns
    -------
    int
        Exit code.
    """
    return command.run(_check, arguments, folds=[3], domains=["stft"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
