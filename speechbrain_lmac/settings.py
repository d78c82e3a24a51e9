"""A training's yaml: loaded, and checked before anything is done."""

import difflib
import math
import re

from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml.error import YAMLError

from speechbrain_lmac.errors import ConfigError


def load_settings(hparams_file, overrides=""):
    """Load a yaml; what is missing or misspelled in it is one line.

    Arguments
    ---------
    hparams_file : str or Path
        A HyperPyYAML file: it is code, so load only what you trust.
    overrides : str or dict
        As ``speechbrain.parse_arguments`` returns them.

    Returns
    -------
    dict
    """
    try:
        with open(hparams_file, encoding="utf-8") as file:
            return load_hyperpyyaml(file, overrides)
    except OSError as error:  # of the file itself, or of the output folder it names
        raise ConfigError(
            f"{error.filename}: cannot be used ({error.strerror}); check the path"
        ) from error
    except KeyError as error:
        name, *known = re.findall("'([^']*)'", str(error.args[0])) or [error.args[0]]
        close = difflib.get_close_matches(str(name), known, 1)
        raise ConfigError(
            f"{hparams_file}: has no '{name}' to override; "
            + (f"did you mean '{close[0]}'?" if close else "look at its keys")
        ) from error
    except TypeError as error:
        if not str(error.args[0]).startswith("Invalid argument"):  # HyperPyYAML's own
            raise
        reason = ": ".join(map(str, error.args))
        raise ConfigError(f"{hparams_file}: {reason}; check its keys") from error
    except YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{hparams_file}: {reason}; check its syntax") from error
    except (ImportError, ValueError) as error:  # a reference, a class, a placeholder
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{hparams_file}: {reason}; check its values") from error


def chosen_objective(hparams):
    """The objective that ``loss`` names.

    Arguments
    ---------
    hparams : dict
        With ``loss`` and ``objectives``.

    Returns
    -------
    object
        One of the objectives; ConfigError where none has that name.
    """
    name, objectives = hparams["loss"], hparams["objectives"]
    if name not in objectives:
        known = ", ".join(objectives)
        raise ConfigError(f"loss '{name}' is unknown: choose one of {known}")
    return objectives[name]


def check_numbers(hparams):
    """Numbers of the yaml that would fail late, or train nothing.

    Arguments
    ---------
    hparams : dict
        The loaded yaml.

    Returns
    -------
    None
        ConfigError names the first that cannot be used.
    """
    for name in ("number_of_epochs", "valid_clips", "valid_sentences"):
        if not (isinstance(hparams[name], int) and hparams[name] >= 1):
            raise ConfigError(
                f"{name} is {hparams[name]}: give a whole number, at least 1"
            )
    for name in ("lr", "clip_seconds"):
        if not _above_zero(hparams[name]):
            raise ConfigError(f"{name} is {hparams[name]}: give a number above 0")
    speeds = hparams["speeds"]
    if not (isinstance(speeds, list) and speeds and all(map(_above_zero, speeds))):
        raise ConfigError(f"speeds are {speeds}: give a list of numbers above 0")


def _above_zero(value):
    return isinstance(value, int | float) and 0 < value < math.inf
