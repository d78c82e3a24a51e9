"""Errors whose cause lies in what was given, not in the code.

Their message is one line that names the file and the remedy; the command line
prints it without a traceback and leaves with exit code 2.
"""

import sys


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
    """Runs a command; bad input is told in one line.

    Arguments
    ---------
    action : callable
        Without arguments.
    debug : bool
        Whether to let bad input end in a traceback.

    Returns
    -------
    int
        0, or 2 after bad input.

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
    return 0
