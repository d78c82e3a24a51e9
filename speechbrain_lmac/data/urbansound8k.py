"""UrbanSound8K (Salamon, Jacoby and Bello, 2014): 8732 clips, 10 classes, 10 folds."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from speechbrain_lmac.data.manifests import read_table
from speechbrain_lmac.data.published import Clip, build_manifest

# Clips in each fold: 8732 in all, of 0.05 to 4 s.
FOLDS = dict(
    zip(range(1, 11), (873, 888, 925, 990, 936, 823, 838, 806, 816, 837), strict=True)
)
# In the order of the data set's class numbers, in natural words.
CLASSES = (
    "air conditioner",
    "car horn",
    "children playing",
    "dog bark",
    "drilling",
    "engine idling",
    "gun shot",
    "jackhammer",
    "siren",
    "street music",
)


def prepare(
    data_folder: str | Path,
    output: str | Path,
    folds: Collection[int] | None = None,
    unreadable: list[str] | None = None,
) -> pd.DataFrame:
    """Writes the manifest of UrbanSound8K as its authors publish it.

    The caption and the label of a clip are the name of its class in natural
    words ("gun shot"), its split is "fold1" to "fold10".

    Arguments
    ---------
    data_folder : str | Path
        The folder with ``metadata/UrbanSound8K.csv`` and ``audio/fold1/`` to
        ``audio/fold10/``.
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
        metadata/UrbanSound8K.csv, it lacks a column, or there is no clip at all.

    Example
    -------
    >>> import torch
    >>> from speechbrain_lmac import audio
    >>> folder = getfixture("tmp_path")
    >>> audio.write(folder / "audio/fold2/7-6-0-0.wav", torch.zeros(22050), 44100)
    >>> (folder / "metadata").mkdir()
    >>> table = "slice_file_name,fold,class\\n7-6-0-0.wav,2,gun_shot\\n"
    >>> _ = (folder / "metadata/UrbanSound8K.csv").write_text(table)
    >>> prepare(folder, folder / "m.csv")[["ID", "caption", "split"]]
            ID   caption  split
    0  7-6-0-0  gun shot  fold2
    """
    rows = read_table(
        Path(data_folder) / "metadata" / "UrbanSound8K.csv",
        ["slice_file_name", "fold", "class"],
        "give the unpacked UrbanSound8K folder that holds metadata/ and audio/",
    )
    clips = []
    for file, fold, category in rows[["slice_file_name", "fold", "class"]].to_numpy():
        name, path = category.replace("_", " "), Path(data_folder) / "audio"
        clips.append(Clip(path / f"fold{fold}" / file, [name], f"fold{fold}", name))
    published = {f"fold{fold}": FOLDS[fold] for fold in folds or FOLDS}
    return build_manifest(clips, output, published, unreadable)
