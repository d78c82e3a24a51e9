"""How near training sets are to the evaluation's clips, as the classifier hears them.

    python -m speechbrain_lmac.evaluation.training_sets hparams/evaluate.yaml \\
        CT=clotho.csv Full=full.csv "Subset (25 %)=full.csv@0.25" \\
        --data_folder DIR/ESC-50

Each set is a manifest, of which ``@SHARE`` takes a share drawn by lot. ``:FOLDER`` at
the end names what a training on it exported, whose decoder is then evaluated as
``evaluate.py`` does. The distance is the Frechet audio distance on the classifier's own
embeddings.
"""

import re
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_lmac.data.manifests import read_manifest
from speechbrain_lmac.data.pipeline import ClipReader
from speechbrain_lmac.errors import AudioInputError, ConfigError
from speechbrain_lmac.evaluation import command
from speechbrain_lmac.evaluation.frechet import frechet_distance
from speechbrain_lmac.evaluation.rendering import Table
from speechbrain_lmac.evaluation.tables import SHOWN, heading
from speechbrain_lmac.explainers.base import hear

_NAMED = 10  # of many clips that cannot be read


def parse(what):
    """``FILE[@SHARE][:FOLDER]`` in its parts.

    Arguments
    ---------
    what : str
        As given on the command line.

    Returns
    -------
    tuple
        File, share in (0, 1], folder or None. ConfigError for another share.

    Example
    -------
    >>> parse("full.csv@0.25:results/export")
    ('full.csv', 0.25, 'results/export')
    """
    file, share, folder = re.fullmatch(
        r"(.*?)(?:@([^@:]*))?(?::(.*))?", what, re.DOTALL
    ).groups()
    try:
        share = float(share or 1)
    except ValueError:
        share = 0
    if not 0 < share <= 1:
        raise ConfigError(f"'{what}': the share after @ must lie between 0 and 1")
    return file, share, folder or None


def embed_manifest(manifest, classifier, share=1.0, seed=0, batch=16):
    """What a classifier makes of the clips of a manifest.

    Arguments
    ---------
    manifest : str or Path
        A CSV file with the columns of ``speechbrain_lmac.data.manifests``.
    classifier : ZeroShotClassifier
        Hears the beginning of each clip, as long as its window.
    share : float
        Of the clips, drawn by lot.
    seed : int
        Of the lot.
    batch : int
        Clips at a time; changes memory, not results.

    Returns
    -------
    embeddings : torch.Tensor
        Unit vectors [n, D]; clips that cannot be read are left out. ConfigError for
        less than two.
    unreadable : list of str
        What is wrong with those.
    """
    rows = read_manifest(manifest)
    rows = rows.sample(frac=share, random_state=seed).sort_index()
    seconds = classifier.window_seconds or 5.0
    repeat = classifier.repeats_short_clips
    reader = ClipReader(classifier.sample_rate, seconds, keep=False, repeat=repeat)
    out, unreadable, files = [], [], rows["wav"].tolist()
    starts = range(0, len(files), batch)
    for start in tqdm(starts, Path(manifest).name, disable=None):
        waves = []
        for file in files[start : start + batch]:
            try:
                waves.append(reader(file))
            except AudioInputError as error:
                tqdm.write(f"left out: {error}", file=sys.stderr)
                unreadable.append(str(error))
        if waves:
            magnitude = classifier.stft(torch.stack(waves).to(classifier.device)).abs()
            out.append(hear(classifier, magnitude).encoding.embedding)
    if sum(map(len, out)) < 2:
        raise ConfigError(f"{manifest}: fewer than two clips; take more of them")
    return torch.cat(out), unreadable


def measure(asked, sets):
    """Distances, and how well the decoders do that were trained on the sets.

    Arguments
    ---------
    asked : Command
        The evaluation's settings.
    sets : dict of str to str
        As :func:`parse` takes them, by name.

    Returns
    -------
    values : pandas.DataFrame
        Columns ``set, clips, FAD``, and the means of ``SHOWN`` where a decoder is
        named.
    rows : pandas.DataFrame
        Those of ``results.csv`` of all decoders, with a column ``set``; empty without a
        decoder.
    counted : list of str
        How many clips the evaluation and each set have, and which could not be read.
    """
    import pandas as pd

    sets = {name: parse(what) for name, what in sets.items()}
    study = asked.study(methods=["lmac_zs"])
    seed, classifier = asked.hparams["seed"], study.classifier
    target = torch.cat([s.encoding.embedding for _, s in study.scenes("evaluation")])
    values, rows, counted = [], [], [f"Evaluation: {study.counted}"]
    for name, (file, share, folder) in sets.items():
        own, unreadable = embed_manifest(file, classifier, share, seed)
        named = "".join(f"; {said}" for said in unreadable[:_NAMED])
        named += "; ..." * (len(unreadable) > _NAMED)
        counted.append(
            f"{name}: {len(own)} clips; {len(unreadable)} unreadable{named}."
        )
        row = {"set": name, "clips": len(own), "FAD": frechet_distance(own, target)}
        if folder:
            found = asked.results(
                interpreter=folder,
                output_folder=str(asked.folder / "training_sets" / name),
                methods=["lmac_zs"],
                conditions=["in_domain"],
                curve_fractions=[],
            )
            row |= found[list(SHOWN)].mean().to_dict()
            rows.append(found.assign(set=name))
        values.append(row)
    rows = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    return pd.DataFrame(values), rows, counted


def summary(values, rows, cell):
    """A row for each training set.

    Arguments
    ---------
    values : pandas.DataFrame
        From :func:`measure`.
    rows : pandas.DataFrame
        From :func:`measure`.
    cell : callable
        From values to the text of their mean.

    Returns
    -------
    Table
    """
    shown = [name for name in SHOWN if name in rows]
    table = Table("Training sets", ["set", "clips", "FAD", *map(heading, shown)])
    for name, clips, distance in values[["set", "clips", "FAD"]].itertuples(
        index=False
    ):
        own = rows[rows["set"] == name] if shown else rows
        cells = [cell(own[metric]) for metric in shown]
        table.rows.append([name, str(clips), f"{distance:.3g}", *cells])
    return table


def plot(values):
    """The distances as bars; beside them AI, where decoders are known.

    Arguments
    ---------
    values : pandas.DataFrame
        From :func:`measure`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    shown = [name for name in ("FAD", "AI", "AD") if name in values]
    size = (1.5 + 3.2 * len(shown), 1.4 + 0.4 * len(values))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False, sharey=True)
    for axis, name in zip(axes[0], shown, strict=True):
        bars = axis.barh(values["set"], values[name].fillna(0))
        axis.bar_label(bars, [f"{x:.3g}" for x in values[name]], padding=2)
        axis.set(xlabel=name)
        axis.margins(x=0.2)
    axes[0, 0].invert_yaxis()  # the first on top
    figure.suptitle("Training sets: distance to the evaluation's clips")
    return figure


def _check(asked):
    """The table over training sets, from the command line to the files."""
    if not asked.named:
        raise ConfigError("no training set is named: give NAME=FILE.csv, or several")
    values, rows, counted = measure(asked, asked.named)
    table = summary(values, rows, asked.cell)
    sets = ", ".join(f"{name} {what}" for name, what in asked.named.items())
    notes = [
        "FAD: Frechet audio distance to the evaluation's clips, on unit vectors of all "
        "clips. Brackets: 95 % bootstrap intervals over the evaluation's clips.",
        " ".join(counted),
        f"Sets, as FILE[@SHARE][:FOLDER]: {sets}.",
    ]
    drawn = {"training_sets": plot(values)}
    told = ("interpreter", "dataset", "folds", "clips", "template", "domains", "seed")
    asked.write("training_sets", values, [table], drawn, notes, told)


def main(arguments):
    """Command line.

    Arguments
    ---------
    arguments : list of str
        As :func:`~speechbrain_lmac.evaluation.command.run` takes them.

    Returns
    -------
    int
        Exit code.
    """
    return command.run(_check, arguments, domains=["stft"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
