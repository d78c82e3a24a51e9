"""Averages the weights of decoders of which one went on from the other.

    python recipes/mini/average.py EXPORT EXPORT OUT

Each is a folder that ``train.py`` exported; OUT is another. What lies between two such
decoders is often better than either, at the cost of one (Wortsman et al., "Model
soups", ICML 2022, arXiv 2203.05482).
"""

import argparse
import sys

from torch.optim.swa_utils import AveragedModel

from speechbrain_lmac import checkpoint
from speechbrain_lmac.errors import ConfigError, exit_code


def average(folders, out):
    """The mean of the weights of all decoders, exported as one of them.

    Arguments
    ---------
    folders : list of str
        Exports, of the same classifier, decoder and masking law.
    out : str
        The folder that is written.

    Returns
    -------
    None
        ConfigError for decoders that are built or were trained otherwise.
    """
    first, *others = map(checkpoint.load, folders)
    mean = AveragedModel(first.decoder, use_buffers=True)
    mean.update_parameters(first.decoder)
    for folder, other in zip(folders[1:], others, strict=True):
        if alike(other) != alike(first):
            raise ConfigError(
                f"{folder}: another classifier, decoder or masking than in "
                f"{folders[0]}; average a training and one that went on from it"
            )
        mean.update_parameters(other.decoder)
    checkpoint.export(out, mean.module, first.classifier, first.settings)


def alike(export):
    """What two exports must share."""
    return export.classifier.arguments, export.decoder.arguments, export.settings


def main():
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("exports", nargs="+", metavar="EXPORT")
    parser.add_argument("out", metavar="OUT")
    asked = parser.parse_args()
    return exit_code(lambda: average(asked.exports, asked.out))


if __name__ == "__main__":
    sys.exit(main())
