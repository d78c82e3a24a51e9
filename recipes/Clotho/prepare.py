"""Writes the CSV manifest of Clotho (see README.md)."""

import sys

from speechbrain_lmac.data.clotho import SPLITS, prepare
from speechbrain_lmac.data.recipe import prepare_command

if __name__ == "__main__":
    sys.exit(prepare_command(prepare, __doc__, splits=SPLITS))
