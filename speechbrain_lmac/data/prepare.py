"""Training and validation manifests of a run, made once."""

import logging
import os
from pathlib import Path

import pandas as pd

from speechbrain_lmac.data import audiocaps, clotho, esc50, synth, urbansound8k
from speechbrain_lmac.data.manifests import read_manifest, read_table, write_manifest
from speechbrain_lmac.data.once import once
from speechbrain_lmac.errors import ConfigError, ManifestError

logger = logging.getLogger(__name__)

# What the paper trains on, by the names of its tables.
TRAINING_SETS = {
    "CT": ("Clotho",),
    "Full": ("Clotho", "AudioCaps", "MACS", "FSD50K"),
}
_HELD_OUT = 0.05  # of the training clips, where there is no validation set


@once
def prepare_manifests(
    save_folder,
    data_folder=None,
    train_folds=(1, 2),
    valid_folds=(3,),
    urbansound8k_folder=None,
    urbansound8k_folds=(2,),
    train_csv=None,
    valid_csv=None,
    data_root=None,
    exclude_csv=None,
    clips_per_sound=20,
    seed=0,
):
    """ESC-50's manifests, your own, or with neither a set of synthesised sounds.

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
    urbansound8k_folder : str or Path
        UrbanSound8K as published, to train on beside ESC-50; None leaves it out.
    urbansound8k_folds : sequence of int
        Its folds to train on.
    train_csv : str or Path
        Your own training manifest, in place of both.
    valid_csv : str or Path
        Your own validation manifest, in place of ESC-50's.
    data_root : str or Path
        What ``$data_root`` in your own manifests stands for.
    exclude_csv : str or Path
        Names in its column ``file`` recordings not to train on, with any suffix: such
        as those of which another part is evaluated on.
    clips_per_sound : int
        Synthesised clips of each sound; one in five is for validation.
    seed : int
        Of the synthesis.

    Returns
    -------
    tuple of Path
        The training and the validation manifest. ConfigError for settings that do not
        go together, ManifestError for files that cannot be used.
    """
    if urbansound8k_folder and (train_csv or not data_folder):
        raise ConfigError(
            "urbansound8k_folder is trained on beside ESC-50: give data_folder, and no "
            "train_csv"
        )
    if not (data_folder or train_csv or valid_csv):
        if exclude_csv:
            raise ConfigError("exclude_csv names recordings: give data_folder as well")
        synth.make_dataset(save_folder, clips_per_sound, seed)
        return
    for split, own, folds in (
        ("train", train_csv, train_folds),
        ("valid", valid_csv, valid_folds),
    ):
        output = Path(save_folder) / f"{split}.csv"
        if own:
            manifest = _own(own, data_root)
        elif data_folder:
            manifest = _esc50(data_folder, output, split, folds)
            if urbansound8k_folder and split == "train":
                more = _urbansound8k(
                    urbansound8k_folder, output.with_stem("us8k"), urbansound8k_folds
                )
                manifest = pd.concat([manifest, more], ignore_index=True)
        else:
            raise ConfigError(f"{split}_csv is not set: give it, or --data_folder DIR")
        if exclude_csv and split == "train":
            manifest = _without(manifest, exclude_csv)
        write_manifest(manifest, output)


@once
def prepare_captioned(
    save_folder,
    clotho_folder=None,
    audiocaps_folder=None,
    esc50_folder=None,
    training_set="Full",
    subset=1.0,
    valid_folds=(1,),
    train_csv=None,
    valid_csv=None,
    data_root=None,
    seed=0,
):
    """Manifests of captioned clips to train on, and of what to validate on.

    Validation takes the first that is given of: ``valid_csv``; ESC-50, whose captions
    are class names; Clotho's validation split; a twentieth of the training clips.

    Arguments
    ---------
    save_folder : str or Path
        Gets ``train.csv`` and ``valid.csv``, and a manifest of each data set.
    clotho_folder : str or Path
        Clotho as published; its development split is for training.
    audiocaps_folder : str or Path
        AudioCaps' tables and the clips that have been downloaded.
    esc50_folder : str or Path
        ESC-50 as published.
    training_set : str
        One of ``TRAINING_SETS``: "CT" is Clotho; "Full" all that is given of the
        paper's, with a warning that names the rest.
    subset : float
        Share of the training clips, drawn by ``seed`` (the paper: 1 and 0.25).
    valid_folds : sequence of int
        ESC-50's folds to validate on.
    train_csv : str or Path
        Your own training manifest, in place of a training set.
    valid_csv : str or Path
        Your own validation manifest.
    data_root : str or Path
        What ``$data_root`` in your own manifests stands for.
    seed : int
        Of the subset, and of the training clips that are held out.

    Returns
    -------
    tuple of Path
        The training and the validation manifest. ConfigError for settings that do not
        go together, ManifestError for files that cannot be used.
    """
    if not 0 < subset <= 1:
        raise ConfigError(f"subset is {subset}: give a share above 0, at most 1")
    folder = Path(save_folder)
    if train_csv:
        train = _own(train_csv, data_root)
    else:
        train = _training_set(folder, training_set, clotho_folder, audiocaps_folder)
    if valid_csv:
        valid = _own(valid_csv, data_root)
    elif esc50_folder:
        valid = _esc50(esc50_folder, folder / "esc50.csv", "valid", valid_folds)
    else:
        valid = _clotho_validation(clotho_folder, folder / "clotho_valid.csv")
    if valid is None:
        if len(train) < 3:
            raise ConfigError(
                f"{len(train)} clips to train on are too few to hold some out for "
                "validation: give valid_csv or esc50_folder"
            )
        valid = train.sample(max(2, round(_HELD_OUT * len(train))), random_state=seed)
        train = train.drop(valid.index)
        logger.warning("%d training clips are held out for validation", len(valid))
    train = train.sample(frac=subset, random_state=seed).sort_index()
    if train.empty:
        raise ConfigError(f"subset {subset} leaves no clip to train on: give more")
    write_manifest(train, folder / "train.csv")
    write_manifest(valid, folder / "valid.csv")


def _own(csv, data_root):
    """A manifest of the user's, checked, that can be read from anywhere."""
    manifest = read_manifest(csv, data_root)
    manifest["wav"] = manifest["wav"].map(os.path.abspath)
    return manifest


def _without(manifest, exclude_csv):
    """A manifest less the recordings that a table names."""
    table = read_table(exclude_csv, ["file"], "name the recordings in it")
    named = {Path(file).stem for file in table["file"]}
    excluded = manifest["wav"].map(lambda wav: Path(wav).stem in named)
    if excluded.all():
        raise ManifestError(f"{exclude_csv}: names all clips to train on; leave some")
    logger.warning(
        "%s: %d of %d clips are not trained on",
        exclude_csv,
        excluded.sum(),
        len(manifest),
    )
    return manifest[~excluded]


def _training_set(folder, name, clotho_folder, audiocaps_folder):
    """The captioned clips of a training set that are given."""
    if name not in TRAINING_SETS:
        known = ", ".join(TRAINING_SETS)
        raise ConfigError(f"training_set '{name}' is unknown: choose one of {known}")
    sources = {
        "Clotho": (clotho, clotho_folder, ["development"]),
        "AudioCaps": (audiocaps, audiocaps_folder, ["train"]),
    }
    parts = {}
    for part in TRAINING_SETS[name]:
        module, data_folder, splits = sources.get(part, (None, None, None))
        if data_folder:
            output = folder / f"{part.lower()}.csv"
            parts[part] = module.prepare(data_folder, output, splits)
    if not parts:
        folders = [f"{x.lower()}_folder" for x in TRAINING_SETS[name] if x in sources]
        raise ConfigError(
            f"training_set {name} needs {' or '.join(folders)}: give it, or train_csv"
        )
    absent = [part for part in TRAINING_SETS[name] if part not in parts]
    if absent:
        there = ", ".join(f"{part} ({len(x)} clips)" for part, x in parts.items())
        logger.warning(
            "training set %s: %s; without the paper's %s",
            name,
            there,
            ", ".join(absent),
        )
    return pd.concat(parts.values(), ignore_index=True)


def _clotho_validation(data_folder, output):
    """Clotho's validation split, or None where it has not been downloaded."""
    if not data_folder:
        return None
    try:
        return clotho.prepare(data_folder, output, ["validation"])
    except ManifestError as error:
        logger.warning("no validation split of Clotho: %s", error)
        return None


def _esc50(data_folder, output, split, folds):
    _check_folds(f"{split}_folds", folds, esc50.FOLDS)
    return esc50.prepare(data_folder, output, folds)


def _urbansound8k(data_folder, output, folds):
    _check_folds("urbansound8k_folds", folds, urbansound8k.FOLDS)
    return urbansound8k.prepare(data_folder, output, folds)


def _check_folds(name, folds, known):
    chosen = isinstance(folds, list | tuple) and set(folds) <= {*known}
    if not folds or not chosen:
        raise ConfigError(
            f"{name} is {folds}: give a list of some of 1 to {max(known)}, as in [1, 2]"
        )
