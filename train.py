#!/usr/bin/env python3
"""Train an LMAC-ZS decoder against a frozen zero-shot audio classifier.

> python train.py hparams/lmac_zs_mini.yaml --data_folder DIR/ESC-50

Without ``--data_folder`` it trains on sounds that it synthesises itself. Every value of
the yaml can be overridden on the command line. Run again, it goes on where it stopped.
"""

import sys

from speechbrain_lmac.training import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
