"""ESC-50 (K. J. Piczak, 2015): 2000 clips of 5 s, 50 classes, 5 folds."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from speechbrain_lmac.data.manifests import read_table
from speechbrain_lmac.data.published import Clip, build_manifest

FOLDS = dict.fromkeys(range(1, 6), 400)  # clips in each: 2000 in all
# In the order of the data set's target numbers, in natural words.
CLASSES = tuple(
    "dog, rooster, pig, cow, frog, cat, hen, insects, sheep, crow, "
    "rain, sea waves, crackling fire, crickets, chirping birds, water drops, wind, "
    "pouring water, toilet flush, thunderstorm, "
    "crying baby, sneezing, clapping, breathing, coughing, footsteps, laughing, "
    "brushing teeth, snoring, drinking sipping, "
    "door wood knock, mouse click, keyboard typing, door wood creaks, can opening, "
    "washing machine, vacuum cleaner, clock alarm, clock tick, glass breaking, "
    "helicopter, chainsaw, siren, car horn, engine, train, church bells, airplane, "
    "fireworks, hand saw".split(", ")
)


def prepare(
    data_folder: str | Path,
    output: str | Path,
    folds: Collection[int] | None = None,
    unreadable: list[str] | None = None,
) -> pd.DataFrame:
    """Writes the manifest of ESC-50 as its author publishes it.

    The caption and the label of a clip are the name of its class in natural
    words ("crying baby"), its split is "fold1" to "fold5".

    Arguments
    ---------
    data_folder : str | Path
        The folder with ``meta/esc50.csv`` and ``audio/``.
    output : str | Path
        The CSV file to write.
    folds : Collection[int], optional
        Take these folds alone; by default all.
    unreadable : list[str], optional
        As for ``speechbrain_lmac.data.published.build_manifest``.

    Returns
    -------
    pd.DataFrame
        The manifest (see ``speechbrain_lmac.data.manifests``). Clips that are
        missing are counted in a warning. ManifestError when there is no
        meta/esc50.csv, it lacks a column, or there is no clip at all.

    Example
    -------
    >>> import torch
    >>> from speechbrain_lmac import audio
    >>> folder = getfixture("tmp_path")
    >>> audio.write(folder / "audio/1-1-A-20.wav", torch.zeros(220500), 44100)
    >>> (folder / "meta").mkdir()
    >>> table = "filename,fold,category\\n1-1-A-20.wav,1,crying_baby\\n"
    >>> _ = (folder / "meta/esc50.csv").write_text(table)
    >>> prepare(folder, folder / "m.csv")[["ID", "caption", "split"]]
             ID      caption  split
    0  1-1-A-20  crying baby  fold1
    """
    rows = read_table(
        Path(data_folder) / "meta" / "esc50.csv",
        ["filename", "fold", "category"],
        "give the folder of github.com/karolpiczak/ESC-50 that holds meta/ and audio/",
    )
    clips = []
    for file, fold, category in rows[["filename", "fold", "category"]].to_numpy():
        name = category.replace("_", " ")
        clips.append(
            Clip(Path(data_folder) / "audio" / file, [name], f"fold{fold}", name)
        )
    published = {f"fold{fold}": FOLDS[fold] for fold in folds or FOLDS}
    return build_manifest(clips, output, published, unreadable)
