"""Reads the yaml of a model that a stranger may have written.

The format is a small part of HyperPyYAML: plain scalars, lists and maps,
``!new:speechbrain_lmac.`` with a model class of this package, and ``!ref <key>`` to a
key above. HyperPyYAML itself is not used for it, since it runs what the file says:
``!apply:``, the tags of Python, attributes behind a dot of ``!ref``, and, without any
tag, a string in round brackets, which it reads once more by the unsafe loader.
"""

import importlib
import re
from pathlib import Path

import ruamel.yaml
import torch
from ruamel.yaml import MappingNode, ScalarNode, SequenceNode

from speechbrain_lmac.errors import CheckpointError, ConfigError

_STANDARD = "tag:yaml.org,2002:"
_PLAIN = [_STANDARD + kind for kind in ("str", "int", "float", "bool", "null")]
_UNFIT = (  # also what a scalar with a tag that does not fit it raises
    *(ArithmeticError, AttributeError, LookupError),
    *(RuntimeError, TypeError, ValueError),
)
_ALLOWED = (
    "plain values, !ref <key> and !new:speechbrain_lmac. models are; give a classifier "
    "of your own to from_hparams: classifier="
)


def read(file, given=None):
    """Builds what a yaml describes, as long as it describes nothing but our models.

    Arguments
    ---------
    file : str | Path
        A map at its top.
    given : dict, optional
        Values of some keys, in place of what the yaml says of them, which is not read.

    Returns
    -------
    dict
        The values of its keys. ConfigError names the file and the tag of anything that
        is not allowed, before any object is built; CheckpointError says that the file
        cannot be read.

    Example
    -------
    >>> file = getfixture("tmp_path") / "bad.yaml"
    >>> _ = file.write_text("x: !apply:os.system [ls]")
    >>> read(file)
    Traceback (most recent call last):
    speechbrain_lmac.errors.ConfigError: ...bad.yaml: !apply:os.system is not allowed...
    """
    yaml = ruamel.yaml.YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(
            f"{file}: cannot be read ({error.strerror}); give an exported folder"
        ) from error
    except (ruamel.yaml.error.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file}: not a yaml file; export it again") from error
    if not isinstance(root, MappingNode) or root.tag != _STANDARD + "map":
        raise ConfigError(f"{file}: not a map of settings; export it again")
    given = given or {}
    known = set()
    for key, value in _pairs(root, file):
        if key not in given:
            _check(value, known, file)
        known.add(key)
    built = {}
    for key, value in root.value:
        if key.value in given:
            built[key.value] = given[key.value]
            continue
        try:
            built[key.value] = _build(value, built, yaml.constructor)
        except _UNFIT as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ConfigError(
                f"{file}: {key.value} cannot be built ({reason}); export it again"
            ) from error
    return built


def _pairs(node, file):
    """Keys, as strings, and value nodes of a map that has no key twice."""
    names = [key.value for key, _ in node.value if key.tag == _STANDARD + "str"]
    if len(set(names)) < len(node.value):
        raise ConfigError(f"{file}: a key is doubled or no word; export it again")
    return zip(names, (value for _, value in node.value), strict=True)


def _check(node, known, file):
    """Refuses a node unless it and all below it are allowed."""
    allowed = node.anchor is None  # an alias may contain itself
    below = []
    if isinstance(node, ScalarNode):
        reference = node.tag == "!ref" and node.value[1:-1] in known
        reference = reference and node.value == f"<{node.value[1:-1]}>"
        allowed &= node.tag in _PLAIN or reference
        # HyperPyYAML would run it, and once it is in use every resolver tags it
        allowed &= not re.fullmatch(r"\(.*\)", node.value, re.DOTALL)
    elif isinstance(node, SequenceNode):
        allowed &= node.tag == _STANDARD + "seq"
        below = node.value
    else:
        allowed &= node.tag == _STANDARD + "map" or _model(node.tag) is not None
        below = [value for _, value in _pairs(node, file)]
    if not allowed:
        tag = "&" + node.anchor if node.anchor else node.tag
        tag = f"!ref {node.value}" if tag == "!ref" else tag
        raise ConfigError(f"{file}: {tag} is not allowed; only {_ALLOWED}")
    for value in below:
        _check(value, known, file)


def _model(tag):
    """The class that a ``!new:`` names if it is one of our models, else None.

    It must have been defined where the tag says: modules of this package import others,
    so that ``speechbrain_lmac.atomic.os`` has a name here too.
    """
    address = tag.removeprefix("!new:")
    module, _, name = address.rpartition(".")
    if address == tag or not re.fullmatch(r"speechbrain_lmac(\.\w+)+", module):
        return None
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError:
        return None
    ours = isinstance(found, type) and issubclass(found, torch.nn.Module)
    return found if ours and found.__module__ == module else None


def _build(node, built, scalars):
    """The value of a node that passed ``_check``."""
    if node.tag == "!ref":
        return built[node.value[1:-1]]
    if isinstance(node, ScalarNode):
        return scalars.construct_object(node)
    if isinstance(node, SequenceNode):
        return [_build(value, built, scalars) for value in node.value]
    values = {key.value: _build(value, built, scalars) for key, value in node.value}
    model = _model(node.tag)
    return values if model is None else model(**values)
