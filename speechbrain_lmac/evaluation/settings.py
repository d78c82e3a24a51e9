"""The settings of an evaluation: what they may be."""

import inspect
import re

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.masking import DOMAINS


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
