"""Going on with a training that was stopped: from what is whole, and only as it was."""

import json
import logging
import zipfile
from pathlib import Path

from speechbrain_lmac import atomic
from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.weights import fingerprint

logger = logging.getLogger(__name__)

_FILE = "trained_with.json"
_TOLD = (
    *("seed", "loss", "ramp", "masking_law", "mask_floor_db", "lr", "start_from"),
    *("clip_seconds", "speeds", "templates", "bank_size"),
)


def set_aside_damaged(save_folder):
    """Renames the checkpoints that a kill or a full disk left unfinished.

    SpeechBrain writes a checkpoint in place and then fails on the newest, where the one
    before it is whole.

    Arguments
    ---------
    save_folder : str or Path
        Where the checkpoints are. What is set aside is named ``damaged-CKPT...``.

    Returns
    -------
    None
    """
    for folder in sorted(Path(save_folder).glob("CKPT*")):
        if not _whole(folder):
            aside = folder.rename(folder.with_name(f"damaged-{folder.name}"))
            logger.warning("%s: unfinished or damaged, now %s", folder, aside.name)


def _whole(folder):
    """Whether every file is there and as it was written."""
    texts = [folder / name for name in ("CKPT.yaml", "brain.ckpt", "counter.ckpt")]
    # written last of all
    states = [folder / f"{x}.ckpt" for x in ("decoder", "scheduler", "optimizer")]
    if not all(file.is_file() and file.stat().st_size for file in [*texts, *states]):
        return False
    try:
        for state in states:
            with zipfile.ZipFile(state) as archive:
                if archive.testzip():  # the first file of it with a wrong checksum
                    return False
    except zipfile.BadZipFile:
        return False
    return True


def description(hparams):
    """What must be the same when a training goes on.

    Arguments
    ---------
    hparams : dict
        The loaded yaml, with the chosen ``objective``.

    Returns
    -------
    dict
        Plain values by name.
    """
    objective = hparams["objective"]
    weights = {
        f"{hparams['loss']}.{name}": value
        for name, value in vars(objective).items()
        if name not in ("classifier", "maskings", "pairs_per_pass")
    }
    told = {name: hparams[name] for name in _TOLD if name in hparams}
    return {
        **told,
        **weights,
        "classifier": fingerprint(hparams["classifier"])[:16],
        "decoder": hparams["decoder"].arguments,
        "number_of_epochs": hparams["number_of_epochs"],
    }


def check_unchanged(hparams):
    """Refuses to go on with another classifier, decoder, loss, mask, data or seed.

    Another number of epochs is allowed, with a warning.

    Arguments
    ---------
    hparams : dict
        The loaded yaml, with the chosen ``objective``.

    Returns
    -------
    None
        ConfigError names what has changed, in one line.
    """
    folder = Path(hparams["save_folder"])
    now = json.loads(json.dumps(description(hparams)))  # lists in place of tuples
    file = folder / _FILE
    if file.is_file() and any(folder.glob("CKPT*")):
        before = json.loads(file.read_text())
        changed = [
            f"{name} from {before.get(name)} to {now.get(name)}"
            for name in sorted(before | now)
            if before.get(name) != now.get(name)
        ]
        epochs = [x for x in changed if x.startswith("number_of_epochs")]
        if changed != epochs:
            raise ConfigError(
                f"{folder}: its training cannot go on, since these have changed: "
                f"{', '.join(changed)}; give another output_folder, or delete this one"
            )
        if epochs:
            logger.warning(
                "%s: changed %s; the learning rate goes on where its new course has "
                "this step, which differs from a training of that length",
                folder,
                epochs[0],
            )
    atomic.write(file, json.dumps(now, indent=2) + "\n")
