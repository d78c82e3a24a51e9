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
from speechbrain_lmac.evaluation.tables import SHOWN, Table
from speechbrain_lmac.explainers.base import hear


def frechet_distance(one, other):
    """Frechet distance of the Gaussians that fit two sets of vectors.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``, Dowson and Landau, 1982; of audio
    embeddings, K. Kilgour et al., "Frechet audio distance", 2019. Small sets make it
    too large: compare sets of about the same size.

    Arguments
    ---------
    one : torch.Tensor
        [n, D], n > 1.
    other : torch.Tensor
        [m, D], m > 1.

    Returns
    -------
    float
        0 for the same mean and covariance.

    Example
    -------
    >>> one = torch.tensor([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]])
    >>> round(frechet_distance(one, one + 3), 6)
    18.0
    """
    one, other = one.double().cpu(), other.double().cpu()
    gap = (one.mean(0) - other.mean(0)).square().sum()
    c1, c2 = (torch.cov(x.T).reshape(x.shape[1], -1) for x in (one, other))
    # C1 C2 has the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2)
    values, vectors = torch.linalg.eigh(c1)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ c2 @ root).clamp(min=0).sqrt().sum()
    return float((gap + c1.trace() + c2.trace() - 2 * shared).clamp(min=0))


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
    torch.Tensor
        Unit vectors [n, D]; clips that cannot be read are left out. ConfigError for
        less than two.
    """
    rows = read_manifest(manifest)
    rows = rows.sample(frac=share, random_state=seed).sort_index()
    seconds = classifier.window_seconds or 5.0
    repeat = classifier.repeats_short_clips
    reader = ClipReader(classifier.sample_rate, seconds, keep=False, repeat=repeat)
    out, files = [], rows["wav"].tolist()
    starts = range(0, len(files), batch)
    for start in tqdm(starts, Path(manifest).name, disable=None):
        waves = []
        for file in files[start : start + batch]:
            try:
                waves.append(reader(file))
            except AudioInputError as error:
                tqdm.write(f"left out: {error}", file=sys.stderr)
        if waves:
            magnitude = classifier.stft(torch.stack(waves).to(classifier.device)).abs()
            out.append(hear(classifier, magnitude).encoding.embedding)
    if sum(map(len, out)) < 2:
        raise ConfigError(f"{manifest}: fewer than two clips; take more of them")
    return torch.cat(out)


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
    pandas.DataFrame
        Columns ``set, clips, FAD``, and the means of ``SHOWN`` where a decoder is
        named.
    """
    import pandas as pd

    sets = {name: parse(what) for name, what in sets.items()}
    study = asked.study(methods=["lmac_zs"])
    seed, classifier = asked.hparams["seed"], study.classifier
    target = torch.cat([s.encoding.embedding for _, s in study.scenes("evaluation")])
    rows = []
    for name, (file, share, folder) in sets.items():
        own = embed_manifest(file, classifier, share, seed)
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
        rows.append(row)
    return pd.DataFrame(rows)


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
    values = measure(asked, asked.named)
    table = Table("Training sets", list(values.columns))
    for _, row in values.iterrows():
        figures = ["-" if x != x else f"{x:.3g}" for x in row[2:]]
        table.rows.append([row["set"], str(row["clips"]), *figures])
    notes = ["FAD: Frechet audio distance to the evaluation's clips, on unit vectors."]
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
