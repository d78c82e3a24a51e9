"""An evaluation from its yaml: clips, conditions, explainers, results."""

import hashlib
import logging
import os
from pathlib import Path

import speechbrain as sb
from hyperpyyaml import resolve_references
from speechbrain.utils.distributed import (
    ddp_barrier,
    ddp_init_group,
    get_rank,
    if_main_process,
    infer_device,
    run_on_main,
)
from tqdm import tqdm

from speechbrain_lmac import __version__, atomic, weights
from speechbrain_lmac.errors import AudioInputError, ConfigError, exit_code
from speechbrain_lmac.evaluation import baselines, provenance, report, settings
from speechbrain_lmac.evaluation.clips import dataset_module, load_clips
from speechbrain_lmac.evaluation.journal import Journal
from speechbrain_lmac.evaluation.measure import Measurement
from speechbrain_lmac.evaluation.rows import Rows
from speechbrain_lmac.interpreter import LMACZSInterpreter
from speechbrain_lmac.settings import load_settings

logger = logging.getLogger(__name__)


def run(arguments):
    """``evaluate.py`` without its shell.

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
    overrides = settings.quoted_template(overrides)

    def action():
        """The evaluation itself."""
        hparams = load_settings(hparams_file, overrides)
        evaluate(hparams, hparams_file, run_opts, overrides)

    return exit_code(action, run_opts.get("debug"))


def evaluate(hparams, hparams_file, run_opts, overrides=""):
    """Measure what is not measured yet, then write results, tables and figures.

    Arguments
    ---------
    hparams : dict
        The loaded yaml.
    hparams_file : str
        Its path, copied to the output folder.
    run_opts : dict
        SpeechBrain's run options.
    overrides : str
        Recorded in the copy.

    Returns
    -------
    None
    """
    ddp_init_group({"distributed_backend": "gloo"})  # nothing but barriers
    evaluation = Evaluation(hparams, run_opts.get("device") or infer_device())
    with open(hparams_file, encoding="utf-8") as file:
        resolved = resolve_references(file, overrides).read()
    run_on_main(evaluation.write_settings, args=[resolved])
    evaluation.take_over(resolved)
    evaluation.measure()
    ddp_barrier()
    run_on_main(evaluation.report)


class Evaluation:
    """All clips of a data set in all conditions, by all explainers.

    Arguments
    ---------
    hparams : dict
        The loaded yaml.
    device : str
        Where classifier and decoder run.
    """

    def __init__(self, hparams, device="cpu"):
        settings.check(hparams)
        settings.check_scale(hparams)
        self.hparams, self.folder = hparams, Path(hparams["output_folder"])
        dataset = hparams["dataset"]
        classes = dataset_module(dataset).CLASSES
        self.interpreter = LMACZSInterpreter.from_hparams(
            hparams["interpreter"], run_opts={"device": device}
        )
        decoder = self.interpreter.mods.decoder
        settings.check_domains(hparams["domains"], decoder, hparams["interpreter"])
        classifier = self.interpreter.mods.classifier
        self.conditions = settings.chosen(
            hparams["conditions"], hparams["known_conditions"], "condition"
        )
        for name, condition in list(self.conditions.items()):
            if not condition.available:
                logger.warning("condition '%s' is left out: no folder for it", name)
                del self.conditions[name]
        makers = {"lmac_zs": lambda: self.interpreter.explainer}
        makers |= hparams["explainers"]
        makers = settings.chosen(hparams["methods"], makers, "method")
        self.clips = load_clips(
            dataset,
            hparams["data_folder"],
            settings.folds(hparams),
            classifier,
            self.folder / "manifests" / f"{get_rank() or 0}.csv",
        )
        self.chosen = self.clips.chosen(hparams["clips"])
        measurement = Measurement(
            self.interpreter,
            makers,
            classifier.embed_text(settings.prompts(hparams["template"], classes)),
            hparams["domains"],
            hparams["curve_fractions"],
            hparams["pairs_per_pass"],
        )
        self.rows = Rows(
            self.clips,
            self.chosen,
            classes,
            self.conditions,
            measurement,
            hparams["seed"],
        )
        self.journal = Journal(self.folder / "journal", get_rank() or 0)

    def decisive(self, resolved):
        """All that decides about the results, as plain values.

        Arguments
        ---------
        resolved : str
            The yaml with overrides in and references out.

        Returns
        -------
        dict
        """
        mods = self.interpreter.mods
        known = {
            "clips heard": _hash(self.chosen),
            "clips to mix with": _hash(self.clips.ids),
            "speech to mix with": _hash(
                [name for c in self.conditions.values() for name in c.recordings]
            ),
            "classifier weights": weights.fingerprint(mods.classifier),
            "decoder weights": weights.fingerprint(mods.decoder),
            "masking law": str(self.interpreter.hparams.masking_law),
            "mask floor": str(self.interpreter.hparams.mask_floor_db),
            "version": __version__,
        }
        return provenance.plain(resolved) | known

    def write_settings(self, resolved):
        """Refuses a folder with results of other settings; writes ours into a new one.

        Arguments
        ---------
        resolved : str
            The yaml with overrides in and references out.
        """
        provenance.check_unchanged(
            self.folder / "settings.json", self.decisive(resolved)
        )
        atomic.write(self.folder / "hyperparams.yaml", resolved)
        provenance.write_versions(self.folder / "versions.json")

    def take_over(self, resolved):
        """Reads what ``baselines_from`` has, so that it is not measured again.

        Arguments
        ---------
        resolved : str
            The yaml with overrides in and references out.
        """
        folder = self.hparams["baselines_from"]
        if folder is not None:
            self.rows.known = baselines.load(
                folder, self.decisive(resolved), self.hparams["methods"]
            )

    def measure(self):
        """Measures the clips that no process has measured yet, this process its share.

        Each clip is written down before the next begins.
        """
        done = {r["clip"] for r in self.journal.records() if "rows" in r}
        ddp_barrier()  # all have read before one writes
        todo = [clip for clip in self.chosen if clip not in done]
        rank, count = get_rank() or 0, int(os.environ.get("WORLD_SIZE", 1))
        # neighbours stay together: a clip's mask is used for the next clip's control
        share = todo[rank * len(todo) // count : (rank + 1) * len(todo) // count]
        for clip in tqdm(share, "clips", disable=not if_main_process()):
            try:
                record = {"clip": clip, "rows": self.rows(clip)}
            except AudioInputError as error:
                logger.warning("%s", error)
                record = {"clip": clip, "unreadable": str(error)}
            self.journal.append(record)

    def report(self):
        """Writes everything that is made of the rows."""
        records = {}
        for record in self.journal.records():
            if "rows" in record or record["clip"] not in records:
                records[record["clip"]] = record
        records = [records[clip] for clip in self.chosen]
        unreadable = [r["unreadable"] for r in records if "unreadable" in r]
        measured = [r for r in records if "rows" in r]
        if not any(r["rows"] for r in measured):
            raise ConfigError(
                f"{self.folder}: nothing was measured, of {len(records)} clips "
                f"{len(unreadable)} cannot be read; check data, methods and conditions"
            )
        unreadable = self.clips.unreadable + unreadable
        law = self.interpreter.hparams
        masking = f"{law.masking_law}, floor {law.mask_floor_db:g} dB"
        said = self.hparams | {"masking": masking}
        said["folds"] = settings.folds(self.hparams)
        report.write(self.folder, measured, unreadable, said)
        print(f"results, tables and figures are in {self.folder}")


def _hash(names):
    return hashlib.sha256("\n".join(names).encode()).hexdigest()
