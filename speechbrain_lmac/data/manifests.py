"""CSV manifests in SpeechBrain's format: one row for a clip.

Columns: ``ID`` (unique), ``duration`` (seconds), ``wav`` (absolute, or beginning
with the placeholder ``$data_root``, as in SpeechBrain's CSV files), ``caption``
(several are joined by " | "), ``split`` and ``label`` (may be empty).
"""

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from speechbrain_lmac import atomic
from speechbrain_lmac.errors import ManifestError

logger = logging.getLogger(__name__)

COLUMNS = ["ID", "duration", "wav", "caption", "split", "label"]
DATA_ROOT = "$data_root"
_SEPARATOR = " | "
_BARS = r"(?<![^ ])(\|+)(?![^ ])"  # that stand alone
_NAMED = 3  # of many missing files, how many an error names
_REMEDY = "write it as README.md says, or with prepare.py of a recipe"


def write_manifest(manifest: pd.DataFrame, path: str | Path) -> None:
    """Writes a manifest, whole or not at all.

    Arguments
    ---------
    manifest : pd.DataFrame
        With the columns of ``COLUMNS``, and further ones as wanted.
    path : str | Path
        The CSV file, replaced if it is there; missing folders are made.

    Returns
    -------
    None

    Example
    -------
    >>> path = getfixture("tmp_path") / "m.csv"
    >>> write_manifest(pd.DataFrame(columns=COLUMNS), path)
    >>> path.read_text().strip()
    'ID,duration,wav,caption,split,label'
    """
    _check_columns(manifest, COLUMNS, path, "fill it in")
    atomic.write(path, manifest.to_csv(index=False))


def read_manifest(
    path: str | Path, data_root: str | Path | None = None, max_missing: float = 0.1
) -> pd.DataFrame:
    """Reads a manifest and checks its columns and its audio files.

    Arguments
    ---------
    path : str | Path
        The CSV file.
    data_root : str | Path, optional
        What ``$data_root`` in the column ``wav`` stands for.
    max_missing : float
        Share of audio files that may be missing: their rows are dropped with a
        warning.

    Returns
    -------
    pd.DataFrame
        Rows whose audio file is there, ``wav`` filled in. ``duration`` holds
        floats, every other column strings. ManifestError when the file is
        missing or not such a table, when an ID occurs twice, when a clip has no
        caption, or when more than ``max_missing`` of the audio files, or all of
        them, are missing.

    Example
    -------
    >>> import torch
    >>> from speechbrain_lmac import audio
    >>> folder = getfixture("tmp_path")
    >>> audio.write(folder / "a.wav", torch.zeros(8000), 16000)
    >>> row = ["a", 0.5, "$data_root/a.wav", "a dog barks", "train", ""]
    >>> write_manifest(pd.DataFrame([row], columns=COLUMNS), folder / "m.csv")
    >>> manifest = read_manifest(folder / "m.csv", data_root=folder)
    >>> manifest.wav[0] == str(folder / "a.wav")
    True
    """
    manifest = read_table(path, COLUMNS, _REMEDY)
    try:
        manifest["duration"] = manifest["duration"].astype(float)
    except ValueError as error:
        raise ManifestError(
            f"{path}: a duration is not a number ({error}); give seconds"
        ) from error
    twice = manifest["ID"][manifest["ID"].duplicated()]
    if len(twice):
        raise ManifestError(
            f"{path}: {len(twice)} rows repeat an ID, the first {twice.iloc[0]}; "
            "give each clip its own"
        )
    blank = manifest["ID"][~manifest["caption"].map(captions).astype(bool)]
    if len(blank):
        raise ManifestError(
            f"{path}: {len(blank)} clips without a caption, the first {blank.iloc[0]}; "
            "give each of them one"
        )
    if manifest["wav"].str.contains(DATA_ROOT, regex=False).any():
        if data_root is None:
            raise ManifestError(
                f"{path}: its audio files lie below {DATA_ROOT}; say where with "
                "data_root"
            )
        manifest["wav"] = manifest["wav"].str.replace(
            DATA_ROOT, str(data_root), regex=False
        )
    return _drop_missing(manifest, path, max_missing)


def read_table(path: str | Path, columns: list[str], remedy: str) -> pd.DataFrame:
    """Reads a CSV file as strings and checks its columns.

    Arguments
    ---------
    path : str | Path
        The CSV file.
    columns : list[str]
        Those that it must have.
    remedy : str
        What to do when it is not there or not such a table, for the message of
        the ManifestError.

    Returns
    -------
    pd.DataFrame
        All rows and columns. Every word is itself: a caption may be "None".

    Example
    -------
    >>> path = getfixture("tmp_path") / "t.csv"
    >>> _ = path.write_text("name,fold\\nNone,1\\n")
    >>> read_table(path, ["name"], "write it").to_dict("records")
    [{'name': 'None', 'fold': '1'}]
    """
    if not Path(path).is_file():
        raise ManifestError(f"{path}: no such file; {remedy}")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:  # pandas' parser, encoding and empty-file errors
        reason = str(error).splitlines()[0]
        raise ManifestError(f"{path}: not a CSV table ({reason}); {remedy}") from error
    _check_columns(table, columns, path, remedy)
    return table


def caption_cell(captions: Iterable[str]) -> str:
    """Captions of a clip as a cell of the column ``caption``.

    Arguments
    ---------
    captions : Iterable[str]
        Any sentences; blank ones are left out, white space is made single.

    Returns
    -------
    str
        What :func:`captions` takes apart again. A bar in a sentence is doubled, so
        that it does not separate.

    Example
    -------
    >>> caption_cell(["a dog barks", "barking"])
    'a dog barks | barking'
    >>> caption_cell(["rain | wind", " "])
    'rain || wind'
    """
    words = (" ".join(caption.split()) for caption in captions)
    return _SEPARATOR.join(re.sub(_BARS, r"\1|", each) for each in words if each)


def captions(cell: str) -> list[str]:
    """The captions in a cell of the column ``caption``.

    Arguments
    ---------
    cell : str
        One or more captions, joined by " | ".

    Returns
    -------
    list[str]
        Each by itself, without empty ones.

    Example
    -------
    >>> captions("a dog barks | barking")
    ['a dog barks', 'barking']
    >>> captions("rain || wind")
    ['rain | wind']
    """
    parts = [part.strip() for part in re.split(r"(?<![^ ])\|(?![^ ])", cell)]
    return [re.sub(_BARS, lambda bars: bars[1][1:], part) for part in parts if part]


def _check_columns(table, columns, path, remedy):
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ManifestError(
            f"{path}: lacks the column{'s' * (len(missing) > 1)} "
            f"{', '.join(missing)} of {', '.join(columns)}; {remedy}"
        )


def _drop_missing(manifest, path, max_missing):
    there = manifest["wav"].map(os.path.isfile).astype(bool)
    gone = manifest["wav"][~there]
    if not len(manifest):
        raise ManifestError(f"{path}: has no rows; {_REMEDY}")
    if len(gone):
        named = ", ".join(gone[:_NAMED]) + ", ..." * (len(gone) > _NAMED)
        message = f"{path}: {len(gone)} of {len(manifest)} audio files are missing"
        if len(gone) < len(manifest):
            logger.warning("%s: %s", message, ", ".join(gone))
        if len(gone) == len(manifest) or len(gone) > max_missing * len(manifest):
            raise ManifestError(
                f"{message}: {named}; check the paths or the data folder"
            )
    return manifest[there].reset_index(drop=True)
