"""From a data set as its publisher lays it out to a manifest."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from tqdm import tqdm

from speechbrain_lmac import atomic, audio
from speechbrain_lmac.audio_file import SUFFIXES
from speechbrain_lmac.data.manifests import COLUMNS, caption_cell, write_manifest
from speechbrain_lmac.errors import AudioInputError, ManifestError

logger = logging.getLogger(__name__)


class Clip(NamedTuple):
    """What a data set says of a clip, before the clip has been looked at."""

    path: Path
    captions: list[str]
    split: str
    label: str = ""
    name: str = ""  # ID in the manifest; by default the file's name


def build_manifest(
    clips: Iterable[Clip],
    output: str | Path,
    published: Mapping[str, int] | None = None,
    unreadable: list[str] | None = None,
) -> pd.DataFrame:
    """Looks at each clip and writes the manifest of those that are there.

    A clip may lie there in another format than the one it is named in (.wav, .flac,
    .ogg, .mp3). A warning counts what is short of each split, and the file
    ``*.missing.txt`` beside the manifest lists the clips that are missing or cannot be
    read.

    Arguments
    ---------
    clips : Iterable[Clip]
        The clips that the data set lists.
    output : str | Path
        The CSV file to write.
    published : Mapping[str, int], optional
        The splits to take, and how many clips each has as published; by default all
        that are listed.
    unreadable : list[str], optional
        Each clip that is missing or cannot be read is added to it, with the reason.

    Returns
    -------
    pd.DataFrame
        The manifest. ManifestError when not one clip is there.

    Example
    -------
    >>> import torch
    >>> folder = getfixture("tmp_path")
    >>> audio.write(folder / "a.wav", torch.zeros(8000), 16000)
    >>> clip = Clip(folder / "a.wav", ["a dog barks", "barking"], "train", "dog")
    >>> build_manifest([clip], folder / "m.csv")[["duration", "caption"]]
       duration                caption
    0       0.5  a dog barks | barking
    """
    clips = [clip for clip in clips if published is None or clip.split in published]
    if published is None:
        published = Counter(clip.split for clip in clips)
    rows, missing, damaged = [], [], []
    for clip in tqdm(clips, desc=Path(output).name, disable=None):
        path = _find(clip.path)
        if path is None:
            missing.append(f"{clip.path}: missing")
            continue
        try:
            duration = round(audio.info(path).duration, 6)
        except AudioInputError as error:
            damaged.append(str(error))
            continue
        wav, caption = str(path.resolve()), caption_cell(clip.captions)
        name = clip.name or path.stem
        rows.append([name, duration, wav, caption, clip.split, clip.label])
    if unreadable is not None:
        unreadable += missing + damaged
    if not rows:
        where = clips[0].path.parent if clips else output
        reason = f"can be read ({damaged[0]})" if damaged else "is there"
        raise ManifestError(f"{where}: not one clip {reason}; check the data folder")
    manifest = pd.DataFrame(rows, columns=COLUMNS)
    _tell(manifest["split"], published, missing + damaged, output)
    write_manifest(manifest, output)
    return manifest


def _tell(splits, published, gone, output):
    """What is short of each split, and a list of the clips that are not there."""
    listed = Path(output).with_suffix(".missing.txt")
    listed.unlink(missing_ok=True)
    if gone:
        atomic.write(listed, "\n".join(gone) + "\n")
    there, total = Counter(splits), sum(published.values())
    if len(splits) < total:
        each = ", ".join(f"{s}: {there[s]} of {n}" for s, n in published.items())
        logger.warning(
            "%s: %d of %d clips are there (%s)%s",
            output,
            len(splits),
            total,
            each,
            f"; {listed} lists {len(gone)} that are not" if gone else "",
        )


def _find(path):
    """The clip under its published name or in another format, or None."""
    others = [path.with_suffix(suffix) for suffix in SUFFIXES]
    # not Path.is_file, which raises for a name too long or a folder that is closed
    return next((p for p in [path, *others] if os.path.isfile(p)), None)
