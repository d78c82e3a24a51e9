"""The settings of an evaluation: what they may be, and that they stay the same."""

import inspect
import json
import logging
import platform
import re
from importlib.metadata import version
from pathlib import Path

import ruamel.yaml

from speechbrain_lmac import atomic
from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.masking import DOMAINS

logger = logging.getLogger(__name__)
_PACKAGES = (
    "speechbrain-lmac speechbrain torch torchaudio torchmetrics captum numpy scipy "
    "pandas matplotlib"
).split()
_NO_RESULT = ("output_folder", "data_folder", "pairs_per_pass", "bootstrap_samples")


def check(hparams):
    """Values that would fail late, or mean nothing.

    Arguments
    ---------
    hparams : dict
        The loaded yaml.

    Returns
    -------
    None
        ConfigError names the first that cannot be used.
    """
    for name in ("conditions", "methods", "domains", "curve_fractions", "folds"):
        value = hparams[name]
        if not isinstance(value, list) and not (name == "folds" and value is None):
            raise ConfigError(f'{name} is {value}: give a list, as --{name} "[...]"')
    for name in ("clips", "pairs_per_pass", "bootstrap_samples"):
        value = hparams[name]
        if name == "clips" and value is None:
            continue
        if type(value) is not int or value < 1:  # True is an int too
            raise ConfigError(f"{name} is {value}: give a whole number, at least 1")
    if not isinstance(hparams["interpreter"], str):
        raise ConfigError(
            f"interpreter is {hparams['interpreter']}: give mini or an exported folder"
        )
    for name in ("domains", "folds"):
        if hparams[name] == []:
            raise ConfigError(
                f'{name} is empty: give one or several, as --{name} "[...]"'
            )
    fractions = hparams["curve_fractions"]
    numbers = all(isinstance(share, int | float) for share in fractions)
    if not numbers or sorted({0.0, *fractions, 1.0}) != [0.0, *fractions, 1.0]:
        raise ConfigError(f"curve_fractions {fractions}: give rising ones in 0 to 1")


def check_scale(hparams):
    """Refuses the scale that sets a clip's prompts side by side, where one is asked.

    Arguments
    ---------
    hparams : dict
        The loaded yaml.

    Returns
    -------
    None
    """
    if hparams["scale"] == "prompts":
        raise ConfigError(
            "scale is prompts, but one prompt of a clip is explained here: give pair, "
            "or a number that raw maps are divided by"
        )


def check_domains(domains, decoder, folder):
    """Refuses to measure a decoder where its masks were never trained to act.

    Arguments
    ---------
    domains : list of str
        In which masks are to act.
    decoder : MaskDecoder
        Says for which it was trained.
    folder : str
        It was loaded from, for the message.

    Returns
    -------
    None
    """
    chosen(domains, dict.fromkeys(DOMAINS), "masking domain")
    trained = decoder.arguments["domains"]
    missing = [domain for domain in domains if domain not in trained]
    if missing:
        raise ConfigError(
            f"{folder}: trained for masks on {', '.join(trained)}, not on "
            f'{", ".join(missing)}; give --domains "[{", ".join(trained)}]"'
        )


def folds(hparams):
    """The folds that are heard.

    Arguments
    ---------
    hparams : dict
        The loaded yaml.

    Returns
    -------
    list of int
        Those that are asked for, else those that `mini` was not trained on.
    """
    return hparams["folds"] or hparams["held_out_folds"][hparams["dataset"]]


def chosen(names, known, what):
    """The entries of a map that a list names.

    Arguments
    ---------
    names : list of str
        In their order.
    known : dict
        By name.
    what : str
        For the message.

    Returns
    -------
    dict
        ConfigError for a name that the map does not have, or no name at all.

    Example
    -------
    >>> chosen(["b"], {"a": 1, "b": 2}, "method")
    {'b': 2}
    """
    listed = ", ".join(known)
    for name in names:
        if name not in known:
            raise ConfigError(f"{what} '{name}' is unknown: choose from {listed}")
    if not names:
        raise ConfigError(f"no {what} is chosen: choose from {listed}")
    return {name: known[name] for name in names}


def wanted(maker, parts):
    """What a maker of explainers asks for and the yaml has not set.

    Arguments
    ---------
    maker : callable
        A class or function, perhaps with settings of the yaml (``!name:``).
    parts : dict
        What there is to give, by the argument's name.

    Returns
    -------
    dict
        Some of ``parts``.

    Example
    -------
    >>> from functools import partial
    >>> wanted(partial(lambda classifier, law: None, law="linear"), {"law": "log"})
    {}
    """
    known = set(inspect.signature(maker).parameters)
    known -= set(getattr(maker, "keywords", {}))
    return {name: part for name, part in parts.items() if name in known}


def quoted_template(overrides):
    """Quotes a template that begins with ``{}``, which yaml would take for a map.

    Arguments
    ---------
    overrides : str
        As ``speechbrain.parse_arguments`` returns them: a line for each key.

    Returns
    -------
    str

    Example
    -------
    >>> print(quoted_template("seed: 2\\ntemplate: {} outside\\nexplainers: {}"))
    seed: 2
    template: '{} outside'
    explainers: {}
    """
    return re.sub(
        r"^template: (\{\}.*)$",
        lambda found: "template: '" + found[1].replace("'", "''") + "'",
        overrides,
        flags=re.MULTILINE,
    )


def prompts(template, classes):
    """Class names in a template.

    Arguments
    ---------
    template : str
        With one ``{}``; ConfigError for another.
    classes : sequence of str
        In natural words.

    Returns
    -------
    list of str

    Example
    -------
    >>> prompts("the sound of {}", ["rain"])
    ['the sound of rain']
    """
    if str(template).count("{}") != 1:
        raise ConfigError(f"template '{template}': give a sentence with one {{}}")
    return [template.replace("{}", name) for name in classes]


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
