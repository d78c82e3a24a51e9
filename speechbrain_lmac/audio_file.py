"""Opening an audio file, and the reasons why one cannot be used."""

import contextlib
import os
import re
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
# size of about 2 or 4 GB in the header (sox: 0x7FFFF000 and more, for aiff 0x7F000000
# less a fraction of a frame, ffmpeg: 0xFFFFFFFF). That means "until the end of the
# file", not "cut short".
_UNKNOWN_SIZE = 0x7EFFF000

# What libsndfile says of a flac file whose header has no length.
_UNKNOWN_FRAMES = 2**62

# What libsndfile notes when it opens an aiff, w64 or au file that was cut short.
_CUT = re.compile(r"(?:SSND|riff|Data Size)\s*: (\d+) \(should be (\d+)\)")

_RATES = range(100, 10**6 + 1)  # Hz; a clip of any other would not fit into memory


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
        file = soundfile.SoundFile(os.fsencode(path))  # names need not be UTF-8
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        raise AudioInputError(
            f"{path}: cannot be read as audio ({reason}); give a wav, flac, ogg or "
            "mp3 file"
        ) from error
    with file:
        promised, present = _data_bytes(path, file.extra_info)
        if present < promised:
            raise AudioInputError(
                f"{path}: cut short, its header promises {promised} bytes and "
                f"{present} are there; copy or convert it again"
            )
        if file.samplerate not in _RATES:
            raise AudioInputError(
                f"{path}: its header says {file.samplerate} Hz, which no recording "
                "has; export it again"
            )
        if file.frames >= _UNKNOWN_FRAMES:
            raise AudioInputError(
                f"{path}: its header does not know its length, as a program leaves it "
                "that writes to a pipe; convert it again, from file to file"
            )
        if file.frames == 0:
            raise AudioInputError(f"{path}: holds no samples; record or export again")
        yield file


def _data_bytes(path: Path, notes: str) -> tuple[int, int]:
    """Bytes of samples of a file: what the header says, what is there.

    libsndfile reads a wav file that was cut short without a word, so its header
    is compared with the file. Other formats: as libsndfile notes it, if it does, and
    else (0, 0), no statement; so also where the header does not know.
    """
    size, large = path.stat().st_size, 0
    with open(path, "rb") as file:
        order = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<"}.get(file.read(4))
        if order is None or file.read(8)[4:] != b"WAVE":
            if not (cut := _CUT.search(notes)) or int(cut[1]) >= _UNKNOWN_SIZE:
                return 0, 0
            return int(cut[1]), int(cut[2])
        while len(header := file.read(8)) == 8:
            name, length = struct.unpack(order + "4sI", header)
            start = file.tell()
            if name == b"ds64":  # of an RF64 file, whose data chunk has no size
                large = int.from_bytes(file.read(16)[8:], "little")
            if name == b"data":
                return length if length < _UNKNOWN_SIZE else large, size - start
            file.seek(start + length + length % 2)  # chunks are even
    return 0, 0
