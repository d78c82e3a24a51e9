"""The command line of a data set's ``prepare.py``."""

import argparse
import logging
from pathlib import Path

from speechbrain_lmac.errors import exit_code


def prepare_command(prepare, description, **choices):
    """The command line of a data set's ``prepare.py``.

    Arguments
    ---------
    prepare : callable
        Takes ``data_folder``, ``output`` and what is in ``choices``, returns the
        manifest.
    description : str
        For ``--help``.
    **choices : collection
        Arguments of which some values may be chosen, by name: ``folds=(1, 2)``.

    Returns
    -------
    int
        Exit code: 0, or 2 after bad input, which is told in one line. A manifest that
        is there already is left as it is.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data_folder", required=True, help="the data set's folder")
    parser.add_argument("--output", required=True, help="the CSV file to write")
    for name, values in choices.items():
        values = tuple(values)
        parser.add_argument(
            f"--{name}",
            type=type(values[0]),
            nargs="+",
            choices=values,
            help="default: all",
        )
    arguments = parser.parse_args()
    logging.basicConfig(format="%(levelname)s: %(message)s")
    if Path(arguments.output).exists():
        print(f"{arguments.output}: there already; delete it to write it anew")
        return 0

    def action():
        """The preparing itself, and what came of it."""
        manifest = prepare(**vars(arguments))
        hours = manifest["duration"].sum() / 3600
        print(f"{arguments.output}: {len(manifest)} clips, {hours:.2f} hours")

    return exit_code(action)
