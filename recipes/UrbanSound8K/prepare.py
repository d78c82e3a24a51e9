"""Writes the CSV manifest of UrbanSound8K (see README.md)."""

import argparse
import logging
import sys

from speechbrain_lmac.data.urbansound8k import FOLDS, prepare
from speechbrain_lmac.errors import UserError


def main():
    """Reads the command line, prepares, says how many clips there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_folder", required=True, help="the data set's folder")
    parser.add_argument("--output", required=True, help="the CSV file to write")
    parser.add_argument(
        "--folds", type=int, nargs="+", choices=tuple(FOLDS), help="default: all"
    )
    arguments = parser.parse_args()
    logging.basicConfig(format="%(levelname)s: %(message)s")
    try:
        manifest = prepare(**vars(arguments))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    hours = manifest["duration"].sum() / 3600
    print(f"{arguments.output}: {len(manifest)} clips, {hours:.2f} hours")
    return 0


if __name__ == "__main__":
    sys.exit(main())
