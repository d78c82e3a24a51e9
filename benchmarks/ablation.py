"""Trains the variants of LMAC-ZS that are compared, and compares them.

    python benchmarks/ablation.py --data_folder DIR/ESC-50 --epochs 12 --output DIR

A variant that the same command exported already is not trained again, and a training
that was broken off goes on. The comparison is that of
``speechbrain_lmac.evaluation.ablation``, on fold 3, which no variant is trained on, but
`mini` itself was. Options that this script does not know go to
``train.py``, such as ``--classifier_folder DIR``.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from variants import ROOT, train

from speechbrain_lmac.evaluation import ablation

# With four pairs a clip, the paper's loss hears as many spectrograms in a step as the
# default one; its means over the draws are those of all pairs.
VARIANTS = {
    "default": [],
    "plain cross-attention": ["--decoder", "{groups: 0, detail: False}"],
    "linear masking": ["--masking_law", "linear"],
    "paper loss": ["--loss", "paper", "--objectives", "{paper: {pairs_per_clip: 4}}"],
    "paper loss with diversity": [
        *("--loss", "paper"),
        *("--objectives", "{paper: {pairs_per_clip: 4, diversity: 0.08}}"),
    ],
}


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_folder", required=True, help="ESC-50 as published")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--output", default="results/ablation", help="a folder")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--clips", type=int, default=400, help="to evaluate, at most")
    asked, further = parser.parse_known_args()
    unknown = set(asked.variants) - set(VARIANTS)
    if unknown:
        parser.error(f"variants {sorted(unknown)}: choose from {list(VARIANTS)}")
    output, data = Path(asked.output).resolve(), str(Path(asked.data_folder).resolve())
    options = ["--data_folder", data, "--number_of_epochs", str(asked.epochs), *further]
    exports = []
    try:
        for name in asked.variants:
            folder = output / name.replace(" ", "_")
            export = train(name, folder, options + VARIANTS[name])
            exports.append(f"{name}={export}")
    except subprocess.CalledProcessError as error:
        return error.returncode  # train.py has said why
    evaluation = ["--data_folder", data, "--output_folder", str(output)]
    evaluation += ["--clips", str(asked.clips)]
    yaml = str(ROOT / "hparams" / "evaluate.yaml")
    return ablation.main([yaml, *exports, *evaluation])


if __name__ == "__main__":
    sys.exit(main())
