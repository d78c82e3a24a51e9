"""Files that are there whole or not at all, whenever the program ends."""

import contextlib
import os
import tempfile
from pathlib import Path

from speechbrain_lmac.errors import ConfigError

_UMASK = os.umask(0o022)  # which cannot be asked without being set
os.umask(_UMASK)


def write(path, data):
    """Writes a file in one step; folders on the way are made.

    Arguments
    ---------
    path : str | Path
        Replaced if it is there.
    data : bytes | str
        Text is written as UTF-8.

    Returns
    -------
    None

    Example
    -------
    >>> path = getfixture("tmp_path") / "new" / "note.txt"
    >>> write(path, "whole")
    >>> path.read_text()
    'whole'
    """
    data = data.encode() if isinstance(data, str) else data
    with opened(path) as file:
        file.write(data)


@contextlib.contextmanager
def opened(path):
    """A binary file to write to, which takes its place when all went well.

    Arguments
    ---------
    path : str | Path
        Replaced if it is there; folders on the way are made.

    Yields
    ------
    file object
    """
    path = Path(path)
    make_folder(path.parent)
    # in the same folder, since a rename is atomic only within one file system
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        os.chmod(temporary, 0o666 & ~_UMASK)  # mkstemp makes files private
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        os.unlink(temporary)
        unnamed = isinstance(error, OSError) and error.filename in (None, temporary)
        if unnamed and error.errno:  # a full disk: say of which file
            error.filename = str(path)
        raise


def make_folder(path):
    """Makes a folder, and those on the way, where it is not there.

    Arguments
    ---------
    path : str | Path
        May be there.

    Returns
    -------
    None
        ConfigError where there can be no folder, as in ``/proc``.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # of a file that is read it would be a fault
        raise ConfigError(
            f"{path}: cannot be made ({error.strerror}); choose another folder"
        ) from error
