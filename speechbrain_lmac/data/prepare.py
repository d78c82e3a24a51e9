"""Training and validation manifests of a run, made once."""

import argparse
import logging
import sys
from pathlib import Path

from speechbrain_lmac.data import esc50, synth
from speechbrain_lmac.errors import ConfigError, UserError

logger = logging.getLogger(__name__)


def prepare_manifests(
    save_folder,
    data_folder=None,
    train_folds=(1, 2),
    valid_folds=(3,),
    clips_per_sound=20,
    seed=0,
):
    """ESC-50's manifests, or without a data folder a set of synthesised sounds.

    Arguments
    ---------
    save_folder : str or Path
        Gets ``train.csv`` and ``valid.csv``.
    data_folder : str or Path
        ESC-50 as published (``meta/esc50.csv`` and ``audio``); None synthesises.
    train_folds : sequence of int
        ESC-50's folds to train on.
    valid_folds : sequence of int
        ESC-50's folds to validate on.
    clips_per_sound : int
        Synthesised clips of each sound; one in five is for validation.
    seed : int
        Of the synthesis.

    Returns
    -------
    tuple of Path
        The training and the validation manifest.
    """
    save_folder = Path(save_folder)
    if data_folder is None:
        return synth.make_dataset(save_folder, clips_per_sound, seed)
    out = []
    for split, folds in (("train", train_folds), ("valid", valid_folds)):
        known = isinstance(folds, list | tuple) and set(folds) <= {*esc50.FOLDS}
        if not folds or not known:
            raise ConfigError(
                f"{split}_folds is {folds}: give a list of some of 1 to 5, as in [1, 2]"
            )
        out.append(save_folder / f"{split}.csv")
        manifest = esc50.prepare(data_folder, out[-1], folds)
        logger.info("%s: %d clips", out[-1], len(manifest))
    return tuple(out)


def prepare_command(prepare, folds, description):
    """The command line of a data set's ``prepare.py``.

    Arguments
    ---------
    prepare : callable
        Takes ``data_folder``, ``output`` and ``folds``, returns the manifest.
    folds : collection of int
        The folds that there are.
    description : str
        For ``--help``.

    Returns
    -------
    int
        Exit code: 0, or 2 after bad input, which is told in one line.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data_folder", required=True, help="the data set's folder")
    parser.add_argument("--output", required=True, help="the CSV file to write")
    parser.add_argument(
        "--folds", type=int, nargs="+", choices=tuple(folds), help="default: all"
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
