"""From a recording and sentences to explanations that can be listened to."""

import re
import warnings
from pathlib import Path

import torch
from speechbrain.inference.interfaces import Pretrained

from speechbrain_lmac import audio, checkpoint, hub, piecewise
from speechbrain_lmac.errors import AudioInputError, ConfigError
from speechbrain_lmac.explainers.lmac_zs import LMACZS
from speechbrain_lmac.explanation import Explanation, Scores
from speechbrain_lmac.masking import Masking

SILENCE_DB = -90  # peak re full scale below which a clip is taken as silent

_FILES = ["hyperparams.yaml", "decoder.safetensors"]


class LMACZSInterpreter(Pretrained):
    """Explains, for any clip and any sentence, what a classifier's agreement rests on.

    A :class:`~speechbrain.inference.interfaces.Pretrained` whose ``from_hparams`` is
    its own: SpeechBrain's executes the yaml that it is given, this one only builds
    models of this package.

    - Clips up to the classifier's window (5 s for ``mini``) are filled up to it, with
      silence or as the classifier was trained; all that comes back has their length.
    - Longer clips are encoded in windows that overlap by a fifth. Their masks are
      cross-faded into one, which is applied to the whole clip; a similarity is that of
      the mean of the windows' embeddings, at unit length. Only what is returned grows
      with the clip (:mod:`speechbrain_lmac.piecewise`).
    - A clip that peaks below -90 dBFS is silent: its mask is empty, with a warning.
    - Masks act on STFT magnitudes, since only those can be played back. A decoder that
      was trained in the mel domain alone carries its logits over to the linear bins.

    Arguments
    ---------
    modules : dict
        ``classifier`` and ``decoder``.
    hparams : dict
        ``masking_law`` and ``mask_floor_db``.
    run_opts : dict, optional
        SpeechBrain's run options, such as ``{"device": "cuda:0"}``.

    Example
    -------
    >>> from speechbrain_lmac.decoder import MaskDecoder
    >>> from speechbrain_lmac.testing import random_classifier
    >>> classifier = random_classifier()
    >>> interpreter = LMACZSInterpreter(
    ...     modules={"classifier": classifier, "decoder": MaskDecoder(classifier)},
    ...     hparams={"masking_law": "log", "mask_floor_db": -68},
    ...     run_opts={"device": "cpu"},
    ... )
    >>> clips = 0.1 * torch.randn(2, 16000)
    >>> first, second = interpreter.interpret_batch(clips, ["a dog barking", "rain"])
    >>> first.waveform.shape, first.mask.shape
    (torch.Size([2, 16000]), torch.Size([2, 513, 51]))
    """

    MODULES_NEEDED = ("classifier", "decoder")
    HPARAMS_NEEDED = ("masking_law", "mask_floor_db")

    def __init__(self, modules, hparams, run_opts=None):
        super().__init__(modules, hparams, run_opts)
        self.explainer = LMACZS(self.mods.decoder)
        self.masking = Masking.for_classifier(
            self.mods.classifier,
            "stft",
            hparams["masking_law"],
            hparams["mask_floor_db"],
        )

    @classmethod
    def from_hparams(
        cls,
        source="mini",
        savedir=None,
        run_opts=None,
        revision=None,
        classifier=None,
    ):
        """Loads the embedded default, or what a training exported.

        Arguments
        ---------
        source : str | Path
            "mini", a folder that ``train.py`` exported, or the id of a repository on
            the Hugging Face hub.
        savedir : str | Path, optional
            Where to put a repository's files; the hub's cache by default.
        run_opts : dict, optional
            SpeechBrain's run options, such as ``{"device": "cuda:0"}``.
        revision : str, optional
            Commit, tag or branch of a repository: pin a commit for the same model
            tomorrow.
        classifier : ZeroShotClassifier, optional
            The one that the decoder was trained for, if its class is not of this
            package: what a folder names is never imported from elsewhere.

        Returns
        -------
        LMACZSInterpreter
            ConfigError for an unknown source or device, CheckpointError for files that
            are missing, damaged or do not belong together; one line each.
        """
        check_device((run_opts or {}).get("device"))
        if not isinstance(source, str | Path):
            raise ConfigError(f"source {source!r}: give 'mini' or an exported folder")
        if source == "mini":
            folder = checkpoint.PRETRAINED / "mini"
        elif Path(source).is_dir():
            folder = Path(source)
        else:
            folder = _download(str(source), savedir, revision)
        parts = checkpoint.load(folder, classifier=classifier)
        modules = {"classifier": parts.classifier, "decoder": parts.decoder}
        return cls(modules, parts.settings, run_opts)

    def interpret_file(self, path, prompts):
        """Explains a recording.

        Arguments
        ---------
        path : str | Path
            A wav, flac, ogg or mp3 file of any sample rate, length and number of
            channels. AudioInputError where it cannot be used.
        prompts : list of str
            Sentences, used as they are; ConfigError where there is none or a
            blank one.

        Returns
        -------
        Explanation
            As long as the file, at the classifier's sample rate.
        """
        prompts, text = self._embed_text(prompts)
        waveform = audio.read(path, self.mods.classifier.sample_rate)
        return self._interpret(waveform, prompts, text, str(path))

    def interpret_batch(self, wavs, prompts):
        """Explains clips of one length.

        Arguments
        ---------
        wavs : torch.Tensor
            At the classifier's sample rate [B, N], floating-point numbers with full
            scale at 1. AudioInputError for others, none, or what is not finite.
        prompts : list of str
            Sentences for each clip, used as they are.

        Returns
        -------
        list of Explanation
            One for each clip, the same as if it had been alone.
        """
        prompts, text = self._embed_text(prompts)
        if not (isinstance(wavs, torch.Tensor) and wavs.is_floating_point()):
            kind = getattr(wavs, "dtype", type(wavs).__name__)
            raise AudioInputError(
                f"waveforms are {kind}: give a torch tensor of floating-point numbers "
                "with full scale at 1"
            )
        if wavs.ndim != 2 or wavs.shape[-1] == 0:
            raise AudioInputError(
                f"waveforms of shape {tuple(wavs.shape)}: give them as [B, N], N > 0"
            )
        if not all(audio.peak(wav) < audio.LOUDEST for wav in wavs):  # nor is NaN
            raise AudioInputError(
                "waveforms hold NaN, infinite or far too large samples; mend them"
            )
        return [self._interpret(wav.float(), prompts, text) for wav in wavs]

    def forward(self, wavs, prompts):
        """The same as :meth:`interpret_batch`."""
        return self.interpret_batch(wavs, prompts)

    @torch.no_grad()
    def classify_file(self, path, prompts):
        """Zero-shot classification of a recording, with no explanation.

        Arguments
        ---------
        path : str | Path
            As for :meth:`interpret_file`.
        prompts : list of str
            Sentences, used as they are.

        Returns
        -------
        torch.Tensor
            Probabilities [P] that sum to one.
        """
        _, text = self._embed_text(prompts)
        waveform = audio.read(path, self.mods.classifier.sample_rate)
        if _silent(waveform):
            warnings.warn(f"{path}: silent, so this says nothing", stacklevel=2)
        heard = piecewise.hear(self.mods.classifier, waveform[None])
        return self.mods.classifier.probabilities(heard, text)[0].cpu()

    def _embed_text(self, prompts):
        """Prompts, one or several, to a checked list and unit vectors [P, D]."""
        prompts = [prompts] if isinstance(prompts, str) else list(prompts or [])
        if not prompts:
            raise ConfigError("no prompt given; name a sound, such as 'a dog barking'")
        for number, prompt in enumerate(prompts, start=1):
            if not isinstance(prompt, str) or not prompt.strip():
                raise ConfigError(f"prompt {number} is blank; name a sound")
            if any("\ud800" <= letter <= "\udfff" for letter in prompt):
                raise ConfigError(f"prompt {number} is no Unicode text; type it again")
        return prompts, self.mods.classifier.embed_text(prompts)

    @torch.no_grad()
    def _interpret(self, waveform, prompts, text, source=""):
        """A clip [N] at the classifier's rate, and prompts with their [P, D]."""
        classifier, masking = self.mods.classifier, self.masking
        before, mask = piecewise.explain(classifier, self.explainer, waveform, text)
        if _silent(waveform):
            warnings.warn(
                f"{source or 'clip'}: silent, so masks are empty", stacklevel=3
            )
            mask.zero_()
        kept, removed = piecewise.hear_masked(classifier, masking, waveform, mask)
        sounds, rests, magnitude = piecewise.play(
            classifier.stft, masking, waveform, mask
        )
        heard = piecewise.hear(classifier, sounds)

        embeddings = (before.expand_as(kept), kept, removed, heard)
        similarity = [(e * text).sum(1).cpu() for e in embeddings]
        among = [classifier.probabilities(e, text).diag().cpu() for e in embeddings]
        return Explanation(
            waveform=sounds,
            removed=rests,
            original=waveform.cpu(),
            mask=mask[..., : magnitude.shape[-1]],
            magnitude=magnitude,
            sample_rate=classifier.sample_rate,
            prompts=prompts,
            similarity=Scores(*similarity),
            probabilities=Scores(*among),
            classifier=classifier.name,
            source=source,
        )


def _silent(waveform):
    return audio.peak(waveform) < 10 ** (SILENCE_DB / 20)


def check_device(device):
    """Refuses a device that is not there, in one line.

    Arguments
    ---------
    device : str
        As torch calls it; None is not looked at. ConfigError where it cannot be used.
    """
    try:
        torch.empty(0, device=device or "cpu")
    except (AssertionError, RuntimeError) as error:  # torch says it in either way
        other = torch.cuda.is_available() and str(device) not in ("cuda", "cuda:0")
        remedy = "cpu or cuda:0" if other else "cpu"
        raise ConfigError(
            f"device '{device}' cannot be used here; give {remedy}"
        ) from error


def _download(repository, savedir, revision):
    """A repository of the Hugging Face hub to a local folder."""
    remedy = "give 'mini', a folder that train.py exported, or a hub repository id"
    if not re.fullmatch(r"\w[\w.-]*/[\w.-]+", repository):
        raise ConfigError(f"{repository}: no such folder; {remedy}")
    return hub.fetch(repository, _FILES, remedy, savedir, revision)
