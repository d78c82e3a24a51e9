"""A training run from its yaml: data, Brain, fit, export."""

import logging
import sys

import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.sampler import ReproducibleRandomSampler
from speechbrain.utils.distributed import (
    ddp_init_group,
    if_main_process,
    infer_device,
    run_on_main,
)
from torch.utils.data import SequentialSampler

from speechbrain_lmac import checkpoint, resuming, weights
from speechbrain_lmac.data.pipeline import (
    ClipReader,
    caption_cells,
    clip_dataset,
    has_classes,
)
from speechbrain_lmac.data.seeded import SeededClips
from speechbrain_lmac.data.sentences import SentenceBank
from speechbrain_lmac.errors import ConfigError, exit_code
from speechbrain_lmac.interpreter import check_device
from speechbrain_lmac.settings import check_numbers, chosen_objective, load_settings

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
        Exit code: 0, 2 after bad input, which is told in one line, or 130 after
        Ctrl-C.
    """
    hparams_file, run_opts, overrides = sb.parse_arguments(arguments)

    def action():
        """The training itself."""
        hparams = load_settings(hparams_file, overrides)
        train(hparams, hparams_file, run_opts, overrides)

    try:
        return exit_code(action, run_opts.get("debug"))
    except KeyboardInterrupt:
        if run_opts.get("debug"):
            raise
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def training_clips(brain, clips, options):
    """The batches of a training.

    Arguments
    ---------
    brain : LMACZSBrain
        Saves the position in them.
    clips : SeededClips
        All of them; in distributed training each process gets its share.
    options : dict
        Of the loader.

    Returns
    -------
    SaveableDataLoader
        In distributed training the processes' batches of a step together are the
        batch that a single process would have with the sum of their sizes.
    """
    options = dict(options, collate_fn=PaddedBatch)
    if brain.distributed_launch:
        shuffle = options.pop("shuffle", False)
        options["sampler"] = (
            ReproducibleRandomSampler(clips, seed=clips.seed)
            if shuffle
            else SequentialSampler(clips)
        )
    return brain.make_dataloader(clips, sb.Stage.TRAIN, **options)


def _built(key, build, *args, **kwargs):
    """What a key of the yaml describes; ConfigError where its values do not fit."""
    try:
        return build(*args, **kwargs)
    except (TypeError, ValueError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{key}: {reason}; check its values") from error


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
    debug = run_opts.get("debug")
    check_numbers(hparams)
    hparams["objective"] = chosen_objective(hparams)
    for name in ("grad_accumulation_factor", "max_grad_norm"):
        if name in run_opts.overridden_args:
            hparams[name] = run_opts[name]
    check_device(run_opts.get("device"))
    try:
        ddp_init_group(run_opts)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{reason} Train on CPUs with --distributed_backend gloo"
        ) from error
    if not debug:
        run_on_main(resuming.check_unchanged, args=[hparams])
    # for log.txt alone: the yaml is kept when it is known to go on
    sb.create_experiment_directory(hparams["output_folder"], save_env_desc=False)
    run_on_main(resuming.set_aside_damaged, args=[hparams["save_folder"]])
    if debug:
        run_on_main(hparams["prepare_data"])
    else:
        run_on_main(resuming.prepare_unchanged, args=[hparams])
        sb.create_experiment_directory(
            hparams["output_folder"], hparams_file, overrides
        )
    classifier = hparams["classifier"].to(run_opts.get("device") or infer_device())
    if hparams["start_from"]:
        begin = checkpoint.load(hparams["start_from"], classifier.device, classifier)
        state = begin.decoder.state_dict()
        weights.fill(hparams["decoder"], state, hparams["start_from"])
    train_set, valid_set = (
        clip_dataset(
            f"{hparams['save_folder']}/{split}.csv",
            ClipReader(
                classifier.sample_rate,
                hparams["clip_seconds"],
                random=split == "train",
                keep=hparams["keep_audio_in_memory"],
                speeds=hparams["speeds"],
                repeat=classifier.repeats_short_clips,
            ),
        )
        for split in ("train", "valid")
    )
    classes = caption_cells(valid_set)
    every = -(-len(valid_set) // hparams["valid_clips"])
    valid_set.data_ids = valid_set.data_ids[::every]
    # those of the clips first: `valid_sentences` of them take part in the validation
    valid_cells = list(dict.fromkeys(caption_cells(valid_set) + classes))
    brain = hparams["brain_class"](
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    if hparams["tensorboard"]:
        try:
            brain.board = hparams["tensorboard_logger"]()
        except ImportError as error:
            raise ConfigError(
                f"tensorboard: {error}; pip install tensorboard"
            ) from error
    # tried before it is needed
    _built("opt_class", brain.opt_class, brain.modules.parameters())
    brain.clips = {
        sb.Stage.TRAIN: SeededClips(train_set, hparams["seed"]),
        sb.Stage.VALID: SeededClips(valid_set, hparams["seed"]),
    }
    batches = _built(
        "train_dataloader_options",
        training_clips,
        brain,
        brain.clips[sb.Stage.TRAIN],
        hparams["train_dataloader_options"],
    )
    valid_batches = _built(
        "valid_dataloader_options",
        brain.make_dataloader,
        brain.clips[sb.Stage.VALID],
        sb.Stage.VALID,
        ckpt_prefix=None,
        **dict(hparams["valid_dataloader_options"], collate_fn=PaddedBatch),
    )
    # batches at the end of an epoch that are too few for a step are left out
    steps = len(batches) // brain.grad_accumulation_factor
    if not steps:
        raise ConfigError(
            f"{len(train_set)} clips are too few for one step: lower batch_size or "
            "grad_accumulation_factor"
        )
    brain.total_steps = steps * hparams["number_of_epochs"]
    schedule = _built(
        "lr_annealing", hparams["lr_annealing"], total_steps=brain.total_steps
    )
    brain.hparams.lr_annealing = schedule
    brain.checkpointer.add_recoverable("scheduler", schedule)
    if brain.debug:  # which leaves the log of a real run alone
        log = f"{brain.checkpointer.checkpoints_dir}/train_log.txt"
        hparams["train_logger"].save_file = log
    size = hparams["bank_size"]
    brain.sentences = {
        sb.Stage.TRAIN: SentenceBank(
            caption_cells(train_set), classifier, hparams["templates"], size
        ),
        # whose classes or sentences may be others; a sentence needs no template
        sb.Stage.VALID: SentenceBank(
            valid_cells,
            classifier,
            [classifier.prompt_template if has_classes(valid_set) else "{}"],
            size,
        ),
    }
    brain.fit(hparams["epoch_counter"], batches, valid_batches)
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
                "masking_law": hparams["masking_law"],
                "mask_floor_db": hparams["mask_floor_db"],
            },
        )
        print(f"exported to {folder}")
    return brain
