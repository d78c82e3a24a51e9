"""What the sanity checks are made of: a classifier, clips, and ways to explain."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_lmac.errors import AudioInputError, ConfigError
from speechbrain_lmac.evaluation import settings
from speechbrain_lmac.evaluation.clips import dataset_module, load_clips
from speechbrain_lmac.explainers.base import hear
from speechbrain_lmac.explainers.lmac_zs import LMACZS
from speechbrain_lmac.interpreter import LMACZSInterpreter
from speechbrain_lmac.masking import Masking


@dataclass
class Study:
    """Clips of one length, each to be explained by several methods.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        As trained.
    makers : dict of str to callable
        By the method's name, from a classifier to an explainer: a check may hand over
        another classifier than this one.
    masking : Masking
        What a mask does in ``domain``.
    names : list of str
        Of the clips.
    waves : torch.Tensor
        The clips [n, N].
    labels : torch.Tensor
        Their class numbers [n].
    classes : sequence of str
        Names of the classes, in natural words.
    prompts : list of str
        One for each class.
    domain : str
        ``stft`` or ``mel``.
    unreadable : list of str
        What is wrong with clips that were left out.
    batch : int
        Clips at a time; changes memory, not results.
    """

    classifier: torch.nn.Module
    makers: dict
    masking: Masking
    names: list
    waves: torch.Tensor
    labels: torch.Tensor
    classes: tuple
    prompts: list
    domain: str = "stft"
    unreadable: list = field(default_factory=list)
    batch: int = 8

    def __post_init__(self):
        self.text = self.classifier.embed_text(self.prompts)

    @classmethod
    def from_settings(cls, hparams, device="cpu"):
        """The study that the yaml of an evaluation describes.

        Arguments
        ---------
        hparams : dict
            The loaded yaml, with one domain.
        device : str
            Where classifier and decoder run.

        Returns
        -------
        Study
            UserError, in one line, for settings or data that cannot be used.
        """
        settings.check(hparams)
        if len(hparams["domains"]) != 1:
            raise ConfigError(f"domains is {hparams['domains']}: give one, as [stft]")
        (domain,) = hparams["domains"]
        dataset = dataset_module(hparams["dataset"])
        interpreter = LMACZSInterpreter.from_hparams(
            hparams["interpreter"], run_opts={"device": device}
        )
        if "lmac_zs" in hparams["methods"]:
            decoder, folder = interpreter.mods.decoder, hparams["interpreter"]
            settings.check_domains([domain], decoder, folder)
        classifier, held = interpreter.mods.classifier, interpreter.hparams
        law, floor_db = held.masking_law, held.mask_floor_db
        given = {"law": law, "floor_db": floor_db}
        given["pairs_per_pass"] = hparams["pairs_per_pass"]
        for name in hparams["methods"]:
            if name.startswith("control_"):
                raise ConfigError(f"method '{name}': evaluate.py alone has controls")
        known = {n: _maker(make, given) for n, make in hparams["explainers"].items()}
        known = {"lmac_zs": lambda _: LMACZS(interpreter.mods.decoder)} | known
        clips = load_clips(
            hparams["dataset"],
            hparams["data_folder"],
            settings.folds(hparams),
            classifier,
            Path(hparams["output_folder"]) / "sanity" / "clips.csv",
        )
        names, waves = [], []
        unreadable = list(clips.unreadable)
        for clip in tqdm(clips.chosen(hparams["clips"]), "reading", disable=None):
            try:
                waves.append(clips.read(clip))
                names.append(clip)
            except AudioInputError as error:
                unreadable.append(str(error))
        if not names:
            raise ConfigError(
                f"{hparams['data_folder']}: none of {len(unreadable)} clips can be "
                "read; check the data folder"
            )
        return cls(
            classifier,
            settings.chosen(hparams["methods"], known, "method"),
            Masking.for_classifier(classifier, domain, law, floor_db),
            names,
            torch.stack(waves),
            torch.tensor([dataset.CLASSES.index(clips.label(c)) for c in names]),
            dataset.CLASSES,
            settings.prompts(hparams["template"], dataset.CLASSES),
            domain,
            unreadable,
        )

    @property
    def counted(self):
        """How many clips there are, and which could not be read."""
        said = "".join(f"; {reason}" for reason in self.unreadable)
        return f"{len(self.names)} clips; {len(self.unreadable)} unreadable{said}."

    def scenes(self, doing, classifier=None):
        """The clips as a classifier hears them, with a progress bar.

        Arguments
        ---------
        doing : str
            What the progress bar says.
        classifier : ZeroShotClassifier, optional
            Another one than the study's own.

        Yields
        ------
        tuple of torch.Tensor and Scene
            Numbers of the clips [B], and what was heard of them.
        """
        classifier = classifier or self.classifier
        batches = torch.arange(len(self.waves)).split(self.batch)
        for rows in tqdm(batches, doing, disable=None):
            waves = self.waves[rows].to(classifier.device)
            yield rows, hear(classifier, classifier.stft(waves).abs(), self.domain)

    def similarities(self):
        """Similarities of all clips and prompts [n, P]."""
        heard = [s.encoding.embedding for _, s in self.scenes("hearing the clips")]
        return torch.cat(heard) @ self.text.T

    def power(self, energies):
        """Power of what masks act on: magnitudes are squared, mel energies are it."""
        return energies.square() if self.domain == "stft" else energies


def _maker(make, given):
    """From a classifier to an explainer, which gets what it asks for of ``given``."""

    def made(classifier):
        """The explainer of a classifier."""
        return make(**settings.wanted(make, given | {"classifier": classifier}))

    return made
