"""Writes the CSV manifest of UrbanSound8K (see README.md)."""

import sys

from speechbrain_lmac.data.recipe import prepare_command
from speechbrain_lmac.data.urbansound8k import FOLDS, prepare

if __name__ == "__main__":
    sys.exit(prepare_command(prepare, __doc__, folds=FOLDS))
