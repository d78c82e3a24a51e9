#!/usr/bin/env python3
"""Measure explanations of a zero-shot audio classifier on ESC-50 or UrbanSound8K.

> python evaluate.py hparams/evaluate.yaml --dataset ESC-50 --data_folder DIR/ESC-50

Every value of the yaml can be overridden on the command line. Run again, it goes on
where it stopped. On several cores: torchrun --nproc_per_node=2 evaluate.py ...
"""

import sys

from speechbrain_lmac.evaluation.runner import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
