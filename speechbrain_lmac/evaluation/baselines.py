"""Rows that do not depend on the decoder, from the results of another one."""

import json
from pathlib import Path

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.evaluation.journal import Journal

# what may differ: which decoder it is, and what is heard of what there is
_OWN = ("interpreter", "decoder weights", "methods", "clips", "clips heard")


def independent(method):
    """Whether an explainer gives the same masks whatever the decoder is.

    Arguments
    ---------
    method : str
        Its name in the results.

    Returns
    -------
    bool
        Not for LMAC-ZS, nor for controls, which are made from its masks.

    Example
    -------
    >>> independent("gradcam"), independent("lmac_zs"), independent("control_ones")
    (True, False, False)
    """
    return method != "lmac_zs" and not method.startswith("control_")


def load(folder, settings, methods):
    """What another run has measured that holds for this one too.

    Arguments
    ---------
    folder : str | Path
        Its results folder; the run may have been broken off.
    settings : dict
        All that decides about the results of this run, as it writes it.
    methods : sequence of str
        Of this run.

    Returns
    -------
    dict
        For (clip, condition, domain) a dict of rows by method. ConfigError where the
        folder has no results, or those of settings that differ in more than the
        decoder, the methods and the clips.
    """
    file = Path(folder) / "settings.json"
    try:
        theirs = dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise ConfigError(
            f"baselines_from: {file} is missing or damaged; give the results folder "
            "of another evaluation, or leave it out"
        ) from error
    keys = sorted((settings.keys() | theirs.keys()) - {*_OWN})
    changed = [key for key in keys if settings.get(key) != theirs.get(key)]
    if changed:
        raise ConfigError(
            f"baselines_from: {folder} holds results of other settings "
            f"({', '.join(changed)}); give these, or leave it out"
        )
    wanted, found = set(filter(independent, methods)), {}
    for record in Journal(Path(folder) / "journal").records():
        for row in record.get("rows", []):
            if row["method"] in wanted:
                place = row["clip"], row["condition"], row["domain"]
                found.setdefault(place, {})[row["method"]] = row
    return found
