"""Trains a decoder on each of several training sets, and compares sets and decoders.

    python benchmarks/training_sets.py --data_folder DIR --epochs 3 --output DIR

``DIR`` holds ``ESC-50`` and ``UrbanSound8K`` as published. All trainings take about as
many steps, so that sets differ and not how long was trained. The comparison is that of
``speechbrain_lmac.evaluation.training_sets``, on fold 1 of UrbanSound8K. Options that
this script does not know go to ``train.py``, such as ``--precision bf16``.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from variants import ROOT, train

from speechbrain_lmac.evaluation import training_sets

# options, and how many times the epochs of the largest
SETS = {
    "ESC-50 fold 1": (["--train_folds", "[1]"], 4),
    "ESC-50 folds 1, 2": (["--train_folds", "[1, 2]"], 2),
    "ESC-50 folds 1, 2, UrbanSound8K fold 2": (
        ["--train_folds", "[1, 2]", "--urbansound8k_folder", "DIR/UrbanSound8K"],
        1,
    ),
}


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_folder", required=True, help="holds both data sets")
    parser.add_argument("--epochs", type=int, default=3, help="of the largest set")
    parser.add_argument("--output", default="results/training_sets", help="a folder")
    parser.add_argument("--clips", type=int, default=873, help="to evaluate, at most")
    asked, further = parser.parse_known_args()
    output, data = Path(asked.output).resolve(), str(Path(asked.data_folder).resolve())
    sets = []
    for name, (options, times) in SETS.items():
        folder = output / name.replace(" ", "_").replace(",", "")
        options = [option.replace("DIR", data) for option in options]
        options += ["--data_folder", f"{data}/ESC-50"]
        options += ["--number_of_epochs", str(times * asked.epochs), *further]
        try:
            export = train(name, folder, options)
        except subprocess.CalledProcessError as error:
            return error.returncode  # train.py has said why
        sets.append(f"{name}={folder / 'save' / 'train.csv'}:{export}")
    evaluation = ["--dataset", "UrbanSound8K", "--data_folder", f"{data}/UrbanSound8K"]
    evaluation += ["--output_folder", str(output), "--clips", str(asked.clips)]
    yaml = str(ROOT / "hparams" / "evaluate.yaml")
    return training_sets.main([yaml, *sets, *evaluation])


if __name__ == "__main__":
    sys.exit(main())
