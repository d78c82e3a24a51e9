"""Errors whose cause lies in what was given, not in the code.

Their message is one line that names the file and the remedy; the command line
prints it without a traceback and leaves with exit code 2.
"""

import errno
import sys

# what ails a disk, not the code: full, beyond the quota, not to be written to
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}
# or the path that was given: a file where a folder belongs, a name that is too long
_PATH = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG}
_REMEDY = {
    **dict.fromkeys(_DISK, "make room, or see who may write there, and run again"),
    **dict.fromkeys(_PATH, "choose another path"),
}


class UserError(Exception):
    """Bad input: the message names what is wrong and what to do about it."""


class AudioInputError(UserError):
    """An audio file or waveform that cannot be used."""


class ManifestError(UserError):
    """A CSV manifest or a data set folder that cannot be used."""


class ConfigError(UserError):
    """A setting, prompt or configuration file that cannot be used."""


class CheckpointError(UserError):
    """Weights that are missing, damaged or made for another model."""


def exit_code(action, debug=False):
    """Runs a command; bad input, or a path that takes no more, is told in one line.

    Arguments
    ---------
    action : callable
        Without arguments.
    debug : bool
        Whether to let it end in a traceback.

    Returns
    -------
    int
        0, or 2 after either.

    Example
    -------
    >>> exit_code(lambda: None)
    0
    """
    try:
        action()
    except UserError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if debug or error.errno not in _REMEDY:
            raise
        name, remedy = error.filename or "a file", _REMEDY[error.errno]
        print(f"error: {name}: {error.strerror}; {remedy}", file=sys.stderr)
        return 2
    return 0
