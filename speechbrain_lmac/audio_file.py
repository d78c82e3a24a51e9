"""Opening an audio file, and the reasons why one cannot be used."""

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from speechbrain_lmac.errors import AudioInputError

if TYPE_CHECKING:
    import soundfile

# What is looked for in folders; a file that is named may be of any kind that libsndfile
# can read.
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")

# Programs that write to a pipe cannot know the length beforehand and leave a
# size of about 2 or 4 GB in the header (sox: 0x7FFFF000 and more, ffmpeg:
# 0xFFFFFFFF). That means "until the end of the file", not "cut short".
_UNKNOWN_SIZE = 0x7FFFF000


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator["soundfile.SoundFile"]:
    """Opens an audio file that can be read and holds samples, or says why not.

    Arguments
    ---------
    path : str | Path
        A wav, flac, ogg or mp3 file.

    Yields
    ------
    soundfile.SoundFile
        Open until the ``with`` ends. AudioInputError, in one line with the remedy,
        for anything else.

    Example
    -------
    >>> with opened(getfixture("tmp_path") / "none.wav"):
    ...     pass
    Traceback (most recent call last):
    speechbrain_lmac.errors.AudioInputError: ...none.wav: no such file; check the path
    """
    import soundfile

    path = Path(path)
    try:
        path.stat()  # Path.exists raises some errors and hides others
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioInputError(f"{path}: no such file; check the path") from error
    except (OSError, ValueError) as error:  # such as a folder that may not be entered
        reason = getattr(error, "strerror", None) or error
        raise AudioInputError(
            f"{path}: cannot be reached ({reason}); check the path and the permissions "
            "of its folders"
        ) from error
    if not path.is_file():
        raise AudioInputError(f"{path}: not a file; give one audio file")
    if not os.access(path, os.R_OK):
        raise AudioInputError(f"{path}: may not be read; change its permissions")
    if path.stat().st_size == 0:
        raise AudioInputError(f"{path}: empty (0 bytes); copy or record it again")
    if path.suffix.lower() == ".raw":  # soundfile goes by the name
        raise AudioInputError(
            f"{path}: samples with no header that says their rate; convert to wav"
        )
    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        raise AudioInputError(
            f"{path}: cannot be read as audio ({reason}); give a wav, flac, ogg or "
            "mp3 file"
        ) from error
    with file:
        promised, present = _data_bytes(path)
        if present < promised < _UNKNOWN_SIZE:
            raise AudioInputError(
                f"{path}: cut short, its header promises {promised} bytes of samples "
                f"and {present} are there; copy or convert it again"
            )
        if file.frames == 0:
            raise AudioInputError(f"{path}: holds no samples; record or export again")
        yield file


def _data_bytes(path: Path) -> tuple[int, int]:
    """Bytes of samples of a wav file: what the header says, what is there.

    libsndfile reads a wav file that was cut short without a word, so its header
    is compared with the file. Other formats: (0, 0), no statement.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        order = {b"RIFF": "<", b"RIFX": ">"}.get(file.read(4))
        if order is None or file.read(8)[4:] != b"WAVE":
            return 0, 0
        while len(header := file.read(8)) == 8:
            name, length = struct.unpack(order + "4sI", header)
            if name == b"data":
                return length, size - file.tell()
            file.seek(length + length % 2, os.SEEK_CUR)  # chunks are even
    return 0, 0
