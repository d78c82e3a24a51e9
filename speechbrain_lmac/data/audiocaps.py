"""AudioCaps (Kim et al., 2019): captioned clips of 10 s from videos of AudioSet."""

import os
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from speechbrain_lmac.data.manifests import read_table
from speechbrain_lmac.data.published import SUFFIXES, Clip, build_manifest
from speechbrain_lmac.errors import ManifestError

SPLITS = ("train", "val", "test")
_COLUMNS = ["audiocap_id", "youtube_id", "start_time", "caption"]
_REMEDY = "give the folder with train.csv of github.com/cdjkim/audiocaps and the audio"


def prepare(
    data_folder: str | Path,
    output: str | Path,
    splits: Collection[str] | None = None,
    unreadable: list[str] | None = None,
) -> pd.DataFrame:
    """Writes the manifest of those clips of AudioCaps that have been downloaded.

    Rows of one clip, of which ``val`` and ``test`` have five, become one clip with
    several captions. Its ID is video and start, "r1nicOVtvkQ_130"; there is no label.
    The clip is looked for under the names of the usual downloaders, with any suffix of
    ``speechbrain_lmac.data.published.SUFFIXES``: video, video_start, video_start_end,
    each in seconds or milliseconds and with or without a "Y" before it, or audiocap_id.

    Arguments
    ---------
    data_folder : str | Path
        With ``train.csv``, ``val.csv`` and ``test.csv``, which may lie in ``dataset/``,
        and the audio in it or in any folder below.
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
    >>> audio.write(folder / "wav" / "Yr1nicOVtvkQ.wav", torch.zeros(8000), 8000)
    >>> head, row = "audiocap_id,youtube_id,start_time,caption", ",r1nicOVtvkQ,130,"
    >>> table = f"{head}\\n1{row}rain falls\\n2{row}it rains\\n"
    >>> _ = (folder / "val.csv").write_text(table)
    >>> prepare(folder, folder / "m.csv", ["val"])[["ID", "caption"]]
                    ID                caption
    0  r1nicOVtvkQ_130  rain falls | it rains
    """
    folder, clips = Path(data_folder), []
    tables = folder / "dataset" if (folder / "dataset").is_dir() else folder
    files = _files(folder)
    for split in splits or SPLITS:
        rows = read_table(tables / f"{split}.csv", _COLUMNS, _REMEDY)
        for (video, start), same in rows.groupby(
            ["youtube_id", "start_time"], sort=False
        ):
            names = _names(video, _seconds(start, tables / f"{split}.csv"))
            names += list(same["audiocap_id"])
            path = next(
                (files[n] for n in names if n in files), folder / f"{video}.wav"
            )
            captions = same["caption"].tolist()
            clips.append(Clip(path, captions, split, name=f"{video}_{start}"))
    return build_manifest(clips, output, unreadable=unreadable)


def _files(folder):
    """Audio files below a folder by their names without suffix; links are followed."""
    found = {}
    for place, _, names in os.walk(folder, followlinks=True):
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in SUFFIXES:
                found[stem] = Path(place, name)
    return found


def _names(video, start):
    """Under which a clip may have been downloaded."""
    end = start + 10
    times = ["", f"_{start}", f"_{start}_{end}", f"_{start}000_{end}000"]
    times += [f"_{start}.0", f"_{start}.0_{end}.0", f"_{start}.000_{end}.000"]
    return [f"{prefix}{video}{time}" for time in times for prefix in ("", "Y")]


def _seconds(start, table):
    try:
        return int(float(start))
    except ValueError as error:
        raise ManifestError(
            f"{table}: start_time '{start}' is not a number; {_REMEDY}"
        ) from error
