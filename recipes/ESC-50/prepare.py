"""Writes the CSV manifest of ESC-50 (see README.md)."""

import sys

from speechbrain_lmac.data.esc50 import FOLDS, prepare
from speechbrain_lmac.data.recipe import prepare_command

if __name__ == "__main__":
    sys.exit(prepare_command(prepare, __doc__, folds=FOLDS))
