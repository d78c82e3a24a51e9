"""Manifests that are made once for the same arguments."""

import functools
import hashlib
import inspect
import json
import logging
from pathlib import Path

from speechbrain_lmac import atomic

logger = logging.getLogger(__name__)


def once(prepare):
    """Lets a function prepare manifests once for the same arguments.

    Arguments
    ---------
    prepare : callable
        Takes ``save_folder`` first and writes ``train.csv`` and ``valid.csv`` there.

    Returns
    -------
    callable
        Does nothing where both are there, made from the same arguments and, for those
        named ``*_csv``, the same files. Returns both paths.
    """

    @functools.wraps(prepare)
    def prepare_once(*args, **kwargs):
        """Prepares, unless it has been done."""
        given = inspect.signature(prepare).bind(*args, **kwargs)
        given.apply_defaults()
        folder = Path(given.arguments["save_folder"])
        manifests = folder / "train.csv", folder / "valid.csv"
        told = {name: _told(name, value) for name, value in given.arguments.items()}
        told = json.dumps({"prepare": prepare.__name__, **told}, indent=2) + "\n"
        done = folder / "prepared_with.json"
        whole = all(file.is_file() for file in (done, *manifests))
        if whole and done.read_text() == told:
            logger.info("%s: prepared before", folder)
        else:
            done.unlink(missing_ok=True)
            prepare(*args, **kwargs)
            atomic.write(done, told)
        return manifests

    return prepare_once


def _told(name, value):
    """An argument as plain text, with the content of a file that it names."""
    if name.endswith("_csv") and value and Path(value).is_file():
        return f"{value} {hashlib.sha256(Path(value).read_bytes()).hexdigest()}"
    return str(value)
