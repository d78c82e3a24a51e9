"""A training's yaml: loaded, and checked before anything is done."""

import difflib
import math
import re
from collections import Counter

from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML, MappingNode, ScalarNode
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
        ConfigError for an override that is empty: an unset variable of the shell.
    """
    try:
        _check_given(overrides)
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
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{hparams_file}: {reason}; check its values") from error


def _check_given(overrides):
    """Overrides that say nothing, or two things.

    One without a value would be null, which is a choice to be written. The seed is used
    while the yaml is loaded, so that it is looked at before.
    """
    if isinstance(overrides, dict):
        given = dict(overrides)
    else:
        node = YAML().compose(overrides)
        pairs = node.value if isinstance(node, MappingNode) else []
        for key, count in Counter(key.value for key, _ in pairs).items():
            if count > 1:
                raise ConfigError(f"--{key} is given {count} times: give it once")
        given = {
            key.value: value.value if isinstance(value, ScalarNode) else "no number"
            for key, value in pairs
            if str(value.tag).startswith("tag:")  # unlike !name:
        }
    for key, value in given.items():
        if value == "":
            raise ConfigError(f"--{key} is empty: give it a value, or null")
    if "seed" in given and not str(given["seed"]).isdecimal():
        raise ConfigError(f"seed is {given['seed']}: give {_SEED}")


def chosen_objective(hparams):
    """The objective that ``loss`` names.

    Arguments
    ---------
    hparams : dict
        With ``loss`` and ``objectives``.

    Returns
    -------
    object
        One of the objectives; ConfigError where none has that name, or where a weight
        of it is none.
    """
    name, objectives = hparams["loss"], hparams["objectives"]
    known = [key for key, value in objectives.items() if hasattr(value, "terms")]
    for what, key in [("objectives", key) for key in objectives] + [("loss", name)]:
        if key not in known:
            raise ConfigError(
                f"{what} '{key}' is unknown: choose one of {', '.join(known)}"
            )
    chosen = objectives[name]
    for weight in chosen.WEIGHTS:
        value = getattr(chosen, weight)
        both = value if isinstance(value, list | tuple) else [value, value]
        if not (len(both) == 2 and all(map(_finite, both))):
            raise ConfigError(
                f"{weight} of {name} is {value}: give a number, or two, as in [0.3, 4]"
            )
    for number in chosen.NUMBERS:
        value = getattr(chosen, number)
        if not _finite(value):
            raise ConfigError(f"{number} of {name} is {value}: give a number")
    return chosen


def check_numbers(hparams):
    """Values of the yaml that would fail late, or train nothing.

    Arguments
    ---------
    hparams : dict
        The loaded yaml.

    Returns
    -------
    None
        ConfigError names the first that cannot be used.
    """
    for names, wanted, fits in _WANTED:
        for name in names.split():
            if not fits(hparams[name]):
                raise ConfigError(f"{name} is {hparams[name]}: give {wanted}")
    for name in ("train_dataloader_options", "valid_dataloader_options"):
        size = hparams[name].get("batch_size", 1)
        if not _whole(size, 1):
            raise ConfigError(
                f"{name}: batch_size is {size}: give a whole number, at least 1"
            )
    speeds = hparams["speeds"]
    # a tenth is the finest step of ClipReader
    listed = isinstance(speeds, list) and speeds
    if not listed or not all(_between(x, 0.1, 10) for x in speeds):
        raise ConfigError(f"speeds are {speeds}: give a list of numbers from 0.1 to 10")


def _whole(value, least):
    return isinstance(value, int) and value >= least


def _between(value, least, most):
    return isinstance(value, int | float) and least <= value <= most


def _finite(value):
    return isinstance(value, int | float) and math.isfinite(value)


_SEED = "a whole number, at least 0"
# names, what each is, and whether a value is that
_WANTED = (
    (
        "number_of_epochs valid_clips valid_sentences bank_size",
        "a whole number, at least 1",
        lambda value: _whole(value, 1),
    ),
    (
        "tensorboard",
        "True or False",
        lambda value: isinstance(value, bool),
    ),
    (
        "seed",
        _SEED,
        lambda value: _whole(value, 0),
    ),
    (
        "lr clip_seconds",
        "a number above 0",
        lambda value: isinstance(value, int | float) and 0 < value < math.inf,
    ),
    (
        "ramp max_unreadable",
        "a number from 0 to 1",
        lambda value: _between(value, 0, 1),
    ),
    (
        "train_dataloader_options valid_dataloader_options objectives",
        "values by name, as in the yaml",
        lambda value: isinstance(value, dict),
    ),
    ("opt_class lr_annealing", "a class, as in the yaml", callable),
    (
        "checkpointer epoch_counter train_logger",
        "an object, as in the yaml",
        lambda value: hasattr(value, "__dict__"),
    ),
)
