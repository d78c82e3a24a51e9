"""A training run from its yaml: data, Brain, fit, export."""

import logging
import sys
import zipfile
from pathlib import Path

import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml.error import YAMLError
from speechbrain.utils.distributed import if_main_process, run_on_main

from speechbrain_lmac import checkpoint
from speechbrain_lmac.data.pipeline import ClipReader, caption_cells, clip_dataset
from speechbrain_lmac.data.sentences import SentenceBank
from speechbrain_lmac.errors import ConfigError, UserError
from speechbrain_lmac.interpreter import check_device

logger = logging.getLogger(__name__)


def run(arguments):
    """``train.py`` without its shell.

    Arguments
    ---------
    arguments : list of str
        The yaml, SpeechBrain's run options, and overrides.

    Returns
    -------
    int
        Exit code: 0, or 2 after bad input, which is told in one line.
    """
    hparams_file, run_opts, overrides = sb.parse_arguments(arguments)
    try:
        train(load_settings(hparams_file, overrides), hparams_file, run_opts, overrides)
    except UserError as error:
        if run_opts.get("debug"):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def load_settings(hparams_file, overrides=""):
    """Load a yaml; what is missing or misspelled in it is one line.

    Arguments
    ---------
    hparams_file : str or Path
        A HyperPyYAML file: it is code, so load only what you trust.
    overrides : str or dict
        As ``speechbrain.parse_arguments`` returns them.

    Returns
    -------
    dict
    """
    try:
        with open(hparams_file, encoding="utf-8") as file:
            return load_hyperpyyaml(file, overrides)
    except OSError as error:  # of the file itself, or of the output folder it names
        raise ConfigError(
            f"{error.filename}: cannot be used ({error.strerror}); check the path"
        ) from error
    except KeyError as error:
        raise ConfigError(
            f"{hparams_file}: {error.args[0]}; only keys of the file can be overridden"
        ) from error
    except TypeError as error:
        if not str(error.args[0]).startswith("Invalid argument"):  # HyperPyYAML's own
            raise
        reason = ": ".join(map(str, error.args))
        raise ConfigError(f"{hparams_file}: {reason}; check its keys") from error
    except YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{hparams_file}: {reason}; check its syntax") from error
    except (ImportError, ValueError) as error:  # a reference, a class, a placeholder
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{hparams_file}: {reason}; check its values") from error


def chosen_objective(hparams):
    """The objective that ``loss`` names.

    Arguments
    ---------
    hparams : dict
        With ``loss`` and ``objectives``.

    Returns
    -------
    object
        One of the objectives; ConfigError where none has that name.
    """
    name, objectives = hparams["loss"], hparams["objectives"]
    if name not in objectives:
        known = ", ".join(objectives)
        raise ConfigError(f"loss '{name}' is unknown: choose one of {known}")
    return objectives[name]


def set_aside_damaged(save_folder):
    """Renames the checkpoints that a kill or a full disk left unfinished.

    SpeechBrain writes a checkpoint in place and then fails on the newest, where the one
    before it is whole.

    Arguments
    ---------
    save_folder : str or Path
        Where the checkpoints are. What is set aside is named ``damaged-CKPT...``.
    """
    for folder in sorted(Path(save_folder).glob("CKPT*")):
        texts = [folder / name for name in ("CKPT.yaml", "brain.ckpt", "counter.ckpt")]
        states = [folder / f"{x}.ckpt" for x in ("decoder", "optimizer", "scheduler")]
        whole = all(file.is_file() and file.stat().st_size for file in texts)
        if not (whole and all(map(zipfile.is_zipfile, states))):
            aside = folder.rename(folder.with_name(f"damaged-{folder.name}"))
            logger.warning("%s: unfinished or damaged, now %s", folder, aside.name)


def train(hparams, hparams_file, run_opts, overrides=""):
    """Prepare the data, fit the decoder, and export the best of its checkpoints.

    Arguments
    ---------
    hparams : dict
        The loaded yaml.
    hparams_file : str
        Its path, copied to the output folder.
    run_opts : dict
        SpeechBrain's run options.
    overrides : str
        Recorded beside the yaml.

    Returns
    -------
    LMACZSBrain
        After training.
    """
    hparams["objective"] = chosen_objective(hparams)
    check_device(run_opts.get("device"))
    sb.utils.distributed.ddp_init_group(run_opts)
    sb.create_experiment_directory(hparams["output_folder"], hparams_file, overrides)
    run_on_main(set_aside_damaged, args=[hparams["save_folder"]])
    run_on_main(hparams["prepare_data"])
    classifier = hparams["classifier"].to(run_opts.get("device", "cpu"))
    train_set, valid_set = (
        clip_dataset(
            f"{hparams['save_folder']}/{split}.csv",
            ClipReader(
                classifier.sample_rate,
                hparams["clip_seconds"],
                random=split == "train",
                keep=hparams["keep_audio_in_memory"],
                speeds=hparams["speeds"],
            ),
        )
        for split in ("train", "valid")
    )
    every = -(-len(valid_set) // hparams["valid_clips"])
    valid_set.data_ids = valid_set.data_ids[::every]
    loader_options = hparams["train_dataloader_options"]
    steps = -(-len(train_set) // loader_options["batch_size"])
    hparams["lr_annealing"] = hparams["lr_annealing"](
        total_steps=steps * hparams["number_of_epochs"]
    )
    hparams["checkpointer"].add_recoverable("scheduler", hparams["lr_annealing"])
    brain = hparams["brain_class"](
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.total_steps = steps * hparams["number_of_epochs"]
    brain.sentences = SentenceBank(
        caption_cells(train_set), classifier, hparams["templates"], hparams["bank_size"]
    )
    brain.fit(
        hparams["epoch_counter"],
        train_set,
        valid_set,
        train_loader_kwargs=loader_options,
        valid_loader_kwargs=hparams["valid_dataloader_options"],
    )
    brain.checkpointer.recover_if_possible(min_key="loss")
    folder = hparams["export_folder"]
    if brain.debug:  # which must not write over the export of a real run
        folder = f"{brain.checkpointer.checkpoints_dir}/export"
    if if_main_process():
        checkpoint.export(
            folder,
            hparams["decoder"],
            classifier,
            {
                "masking_domain": hparams["masking_domain"],
                "masking_law": hparams["masking_law"],
                "mask_floor_db": hparams["mask_floor_db"],
            },
        )
        print(f"exported to {folder}")
    return brain
