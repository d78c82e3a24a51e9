"""What results come from: settings that may not change, versions that are noted."""

import json
import logging
import platform
from importlib.metadata import version
from pathlib import Path

import ruamel.yaml

from speechbrain_lmac import atomic
from speechbrain_lmac.errors import ConfigError

logger = logging.getLogger(__name__)
_PACKAGES = (
    "speechbrain-lmac speechbrain torch torchaudio torchmetrics captum numpy scipy "
    "pandas matplotlib"
).split()
_NO_RESULT = (
    "output_folder data_folder baselines_from pairs_per_pass bootstrap_samples"
).split()


def plain(resolved):
    """What decides about the results in a yaml, as plain values.

    Arguments
    ---------
    resolved : str
        A HyperPyYAML file with its references resolved.

    Returns
    -------
    dict
        By key; an object keeps its tag.

    Example
    -------
    >>> plain("a: 1\\nb: !new:dict {c: 2}\\noutput_folder: results")
    {'a': '1', 'b': {'!new:dict': {'c': '2'}}}
    """
    top = _values(ruamel.yaml.YAML().compose(resolved))
    return {key: value for key, value in top.items() if key not in _NO_RESULT}


def check_unchanged(file, settings):
    """Refuses a folder whose results come from other settings, else writes them there.

    Arguments
    ---------
    file : str | Path
        A JSON file in the results folder.
    settings : dict
        Of plain values: all that decides about the results.

    Returns
    -------
    None
        ConfigError names the keys that differ.
    """
    file = Path(file)
    if not file.exists():
        atomic.write(file, json.dumps(settings, indent=2) + "\n")
        return
    try:
        before = dict(json.loads(file.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{file}: damaged; delete its folder or give another --output_folder"
        ) from error
    keys = sorted(before.keys() | settings.keys())
    changed = [key for key in keys if before.get(key) != settings.get(key)]
    if changed:
        raise ConfigError(
            f"{file.parent}: holds results of other settings ({', '.join(changed)}); "
            "give another --output_folder or delete it"
        )


def write_versions(file):
    """Writes :func:`versions`; results that go on under others keep both.

    Arguments
    ---------
    file : str | Path
        A JSON file in the results folder.

    Returns
    -------
    None
    """
    file, now = Path(file), versions()
    try:
        known = dict(json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, TypeError, ValueError):  # a new folder, or damaged
        known = dict(now)
    later = known.pop("later", [])
    if now not in (known, *later):
        changed = ", ".join(sorted(k for k in now if now[k] != known.get(k)))
        logger.warning("%s: the run goes on under another %s", file, changed)
        later.append(now)
    known |= {"later": later} if later else {}
    atomic.write(file, json.dumps(known, indent=2) + "\n")


def versions():
    """Of Python and of the packages that results depend on.

    Returns
    -------
    dict of str to str

    Example
    -------
    >>> versions()["torch"] == version("torch")
    True
    """
    found = {"python": platform.python_version(), "machine": platform.platform()}
    return found | {name: version(name) for name in _PACKAGES}


def _values(node):
    """A yaml node as plain values; what is built keeps its tag."""
    if isinstance(node, ruamel.yaml.MappingNode):
        values = {key.value: _values(value) for key, value in node.value}
    elif isinstance(node, ruamel.yaml.SequenceNode):
        values = [_values(value) for value in node.value]
    else:
        values = node.value
    tag = str(node.tag)
    return {tag: values} if tag.startswith("!") else values
