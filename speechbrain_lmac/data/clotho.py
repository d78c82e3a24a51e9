"""Clotho v2.1 (Drossos et al., 2020): clips of 15 to 30 s with five captions."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from speechbrain_lmac.data.manifests import read_table
from speechbrain_lmac.data.published import Clip, build_manifest

SPLITS = {"development": 3839, "validation": 1045, "evaluation": 1045}  # clips in each
CAPTIONS = [f"caption_{number}" for number in range(1, 6)]
_REMEDY = "give the folder of zenodo.org/records/4783391 with the unpacked archives"


def prepare(
    data_folder: str | Path,
    output: str | Path,
    splits: Collection[str] | None = None,
    unreadable: list[str] | None = None,
) -> pd.DataFrame:
    """Writes the manifest of Clotho as its authors publish it.

    A clip has five captions and no label. Since some recordings have namesakes in
    another split, the split is a part of the ID: "development-rain".

    Arguments
    ---------
    data_folder : str | Path
        The folder with ``clotho_captions_development.csv`` and its like, and the
        archives' folders ``development/``, ``validation/`` and ``evaluation/``; these
        may lie in ``audio/`` or be one folder ``clips/``.
    output : str | Path
        The CSV file to write.
    splits : Collection[str], optional
        Take these alone; by default all.
    unreadable : list[str], optional
        As for ``speechbrain_lmac.data.published.build_manifest``.

    Returns
    -------
    pd.DataFrame
        The manifest (see ``speechbrain_lmac.data.manifests``). Clips that are
        missing are counted in a warning. ManifestError when captions of a split are
        not there, they lack a column, or there is no clip at all.

    Example
    -------
    >>> import torch
    >>> from speechbrain_lmac import audio
    >>> folder = getfixture("tmp_path")
    >>> audio.write(folder / "evaluation/a bell.wav", torch.zeros(8000), 8000)
    >>> table = f"file_name,{','.join(CAPTIONS)}\\na bell.wav,a,b,c,d,e\\n"
    >>> _ = (folder / "clotho_captions_evaluation.csv").write_text(table)
    >>> prepare(folder, folder / "m.csv", ["evaluation"])[["ID", "caption"]]
                      ID            caption
    0  evaluation-a bell  a | b | c | d | e
    """
    folder, clips = Path(data_folder), []
    splits = splits or SPLITS
    for split in splits:
        table = folder / f"clotho_captions_{split}.csv"
        rows = read_table(table, ["file_name", *CAPTIONS], _REMEDY)
        places = [folder / split, folder / "audio" / split, folder / "clips"]
        place = next((p for p in places if p.is_dir()), places[0])
        for file, *captions in rows[["file_name", *CAPTIONS]].to_numpy():
            name = f"{split}-{Path(file).stem}"
            clips.append(Clip(place / file, captions, split, name=name))
    return build_manifest(
        clips, output, {split: SPLITS[split] for split in splits}, unreadable
    )
