"""Speech to contaminate clips with: LJSpeech (Ito and Johnson, 2017), or any folder."""

from collections import Counter
from pathlib import Path

import pandas as pd

from speechbrain_lmac.data.published import SUFFIXES, Clip, build_manifest
from speechbrain_lmac.errors import ManifestError

LJSPEECH = 13100  # clips of LJSpeech-1.1
_SPLIT = "all"


def prepare(
    data_folder: str | Path, output: str | Path, unreadable: list[str] | None = None
) -> pd.DataFrame:
    """Writes the manifest of recorded speech.

    Caption and label of every clip are "speech": what is said does not matter. The ID
    is the file's place in the folder, without its suffix where that tells it apart.

    Arguments
    ---------
    data_folder : str | Path
        LJSpeech as published, with ``metadata.csv`` and ``wavs/``, or any folder, of
        which all audio files are taken, with those of the folders below.
    output : str | Path
        The CSV file to write.
    unreadable : list[str], optional
        As for ``speechbrain_lmac.data.published.build_manifest``.

    Returns
    -------
    pd.DataFrame
        The manifest (see ``speechbrain_lmac.data.manifests``). Clips of LJSpeech that
        are missing are counted in a warning. ManifestError when there is no clip.

    Example
    -------
    >>> import torch
    >>> from speechbrain_lmac import audio
    >>> folder = getfixture("tmp_path")
    >>> audio.write(folder / "anna" / "1.wav", torch.zeros(8000), 8000)
    >>> prepare(folder, folder / "m.csv")[["ID", "caption", "label"]]
           ID caption   label
    0  anna/1  speech  speech
    """
    folder = Path(data_folder)
    table = folder / "metadata.csv"  # lines of id|text|text in words
    published = None
    if table.is_file() and (folder / "wavs").is_dir():
        published = {_SPLIT: LJSPEECH}
        lines = table.read_text(encoding="utf-8").splitlines()
        paths = [folder / "wavs" / f"{line.split('|')[0]}.wav" for line in lines]
    else:
        every = folder.rglob("*")
        paths = sorted(path for path in every if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ManifestError(f"{folder}: holds no recordings; check the folder")
    clips, stems = [], Counter(path.with_suffix("") for path in paths)
    for path in paths:
        short = path.with_suffix("")
        name = (path if stems[short] > 1 else short).relative_to(folder).as_posix()
        name = name.removeprefix("wavs/")
        clips.append(Clip(path, ["speech"], _SPLIT, "speech", name))
    return build_manifest(clips, output, published, unreadable)
