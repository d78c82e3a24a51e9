"""Going on with a training that was stopped: from what is whole, and only as it was."""

import functools
import hashlib
import json
import logging
import zipfile
from pathlib import Path

from speechbrain_lmac import atomic, parallel
from speechbrain_lmac.data.manifests import read_table
from speechbrain_lmac.errors import ConfigError, UserError
from speechbrain_lmac.questions import Questions
from speechbrain_lmac.weights import fingerprint

logger = logging.getLogger(__name__)

_FILE, _DATA = "trained_with.json", "trained_on.json"
_MANIFESTS = ("train.csv", "valid.csv")
# older trainings do not tell these
_SINCE = (
    *("batch_size", "grad_accumulation_factor", "max_grad_norm"),
    *("opt_class", "lr_annealing"),
)
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
        # of all processes together
        "batch_size": hparams["train_dataloader_options"].get("batch_size", 1)
        * parallel.processes(),
        "grad_accumulation_factor": hparams.get("grad_accumulation_factor", 1),
        "max_grad_norm": hparams.get("max_grad_norm"),
        "opt_class": _called(hparams["opt_class"]),
        "lr_annealing": _called(hparams["lr_annealing"]),
    }


def _called(class_):
    """Name and keywords of a class of the yaml."""
    partial = functools.partial(class_)
    return {"name": partial.func.__qualname__, **partial.keywords}


def _kind(value):
    return vars(value) if isinstance(value, Questions) else type(value).__name__


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
    # lists in place of tuples; of what is no plain value, its kind
    told = json.dumps(description(hparams), default=_kind)
    now = json.loads(told)
    file = folder / _FILE
    changed = _changed(file, now, _SINCE)
    epochs = changed.pop("number_of_epochs", None)
    _refuse(folder, changed)
    if epochs:
        logger.warning(
            "%s: changed %s; the learning rate goes on where its new course has "
            "this step, which differs from a training of that length",
            folder,
            epochs,
        )
    atomic.write(file, json.dumps(now, indent=2) + "\n")


def prepare_unchanged(hparams):
    """Prepares the manifests, and refuses to go on with other clips or captions.

    The data may have moved to another folder.

    Arguments
    ---------
    hparams : dict
        The loaded yaml.

    Returns
    -------
    None
        ConfigError, after which the manifests are as they were, names the manifest that
        has changed.
    """
    folder = Path(hparams["save_folder"])
    files = [folder / name for name in (*_MANIFESTS, "prepared_with.json")]
    kept = {file: file.read_bytes() for file in files if file.is_file()}
    try:
        hparams["prepare_data"]()
        now = {name: _clips(folder / name) for name in _MANIFESTS}
        _refuse(folder, _changed(folder / _DATA, now))
    except UserError:
        for file, content in kept.items():
            atomic.write(file, content)
        raise
    atomic.write(folder / _DATA, json.dumps(now, indent=2) + "\n")


def _clips(manifest):
    """How many clips a manifest has, and a hash of their names and captions."""
    rows = read_table(manifest, ["ID", "wav", "caption"], "prepare it again")
    rows["wav"] = rows["wav"].map(lambda wav: Path(wav).name)
    told = rows[["ID", "wav", "caption"]].to_csv(index=False)
    return f"{len(rows)} clips {hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _changed(file, now, since=()):
    """What differs from what a training that is there was begun with, by name."""
    if not (file.is_file() and any(file.parent.glob("CKPT*"))):
        return {}
    before = {name: now[name] for name in since} | json.loads(file.read_text())
    return {
        name: f"{name} from {before.get(name)} to {now.get(name)}"
        for name in sorted(before | now)
        if before.get(name) != now.get(name)
    }


def _refuse(folder, changed):
    if changed:
        raise ConfigError(
            f"{folder}: its training cannot go on, since these have changed: "
            f"{', '.join(changed.values())}; give another output_folder, or delete "
            "this one"
        )
