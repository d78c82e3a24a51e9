"""Errors whose cause lies in what was given, not in the code.

Their message is one line that names the file and the remedy; the command line
prints it without a traceback and leaves with exit code 2.
"""


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
