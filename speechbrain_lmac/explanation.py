"""What comes out of an interpretation, and how it is written down."""

import contextlib
import json
import os
import re
import shutil
import tempfile
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from speechbrain_lmac import __version__, atomic, audio, picture
from speechbrain_lmac.errors import ConfigError

# Names of files that an explanation writes.
_OURS = re.compile(r"summary\.json|original\.wav|\d{2,}-[a-z0-9-]+\.(wav|png)")
_UNFINISHED = ".explanation-"  # starts the name of the folder that is written first
_KILLED = 3600  # seconds after which nobody writes to it any more


@dataclass
class Scores:
    """How well each prompt fits four sounds.

    Arguments
    ---------
    before : Tensor
        The clip itself [P].
    kept : Tensor
        The masked spectrogram [P].
    removed : Tensor
        The spectrogram of what the mask leaves [P].
    heard : Tensor
        The explanation's waveform, through the classifier from the start [P].
    """

    before: Tensor
    kept: Tensor
    removed: Tensor
    heard: Tensor

    def of(self, index):
        """The four numbers of one prompt, as a dictionary."""
        return {name: float(values[index]) for name, values in vars(self).items()}


@dataclass
class Explanation:
    """Why a classifier finds that a clip fits each of P prompts, to be listened to.

    Arguments
    ---------
    waveform : Tensor
        What the masks keep [P, N].
    removed : Tensor
        What they leave [P, N].
    original : Tensor
        The clip [N].
    mask : Tensor
        In [0, 1], [P, F, T].
    magnitude : Tensor
        STFT magnitudes of the clip [F, T].
    sample_rate : int
        Of the waveforms: the classifier's, in Hz.
    prompts : list of str
        As they were given.
    similarity : Scores
        Cosine similarities of text and sound.
    probabilities : Scores
        Of each prompt among the given ones, for the same four sounds.
    classifier : str
        Its name.
    source : str
        The file that the clip came from; empty where it came from none.
    """

    waveform: Tensor
    removed: Tensor
    original: Tensor
    mask: Tensor
    magnitude: Tensor
    sample_rate: int
    prompts: list
    similarity: Scores
    probabilities: Scores
    classifier: str
    source: str = ""

    @property
    def energy_kept(self):
        """Share of the clip's energy that each explanation has [P]; 0 for silence."""
        return _energy(self.waveform) / _energy(self.original).clamp(min=1e-12)

    def plot(self, index=None):
        """Spectrogram and mask side by side, a row for each prompt.

        Arguments
        ---------
        index : int, optional
            Show this prompt alone.

        Returns
        -------
        matplotlib.figure.Figure
            With axes in seconds and kHz; it belongs to no window and needs no closing.
        """
        rows = range(len(self.prompts)) if index is None else [index]
        return picture.draw(self, rows)

    def summary(self):
        """The numbers, as plain values for ``summary.json``."""
        files, energy_kept = self._files(), self.energy_kept
        return {
            "version": __version__,
            "classifier": self.classifier,
            "source": self.source,
            "sample_rate": self.sample_rate,
            "duration_seconds": len(self.original) / self.sample_rate,
            "original": "original.wav",
            "explanations": [
                {
                    "prompt": prompt,
                    "similarity": self.similarity.of(i),
                    "probability": self.probabilities.of(i),
                    "mask_mean": float(self.mask[i].mean()),
                    "energy_kept": float(energy_kept[i]),
                    "files": files[i],
                }
                for i, prompt in enumerate(self.prompts)
            ],
        }

    def save(self, folder):
        """Writes sounds, pictures and ``summary.json``.

        For each prompt there are ``NN-words.wav``, what its mask keeps,
        ``NN-words-removed.wav`` and ``NN-words.png``; and ``original.wav``. An earlier
        explanation in the folder gives way to this one, once all of it is written;
        files of others stay.

        Arguments
        ---------
        folder : str | Path
            Made if it is not there.

        Returns
        -------
        dict
            The summary. ConfigError where the folder cannot be written to, or a file
            that is no explanation would be lost; then all is as it was.
        """
        folder, summary = Path(folder), self.summary()
        names = _written(summary)
        try:
            earlier, _ = saved_in(folder)
            for file in (folder / name for name in names if name not in earlier):
                if file.exists():
                    raise ConfigError(
                        f"{file}: is there already and no explanation; choose another "
                        "folder"
                    )
            folder.mkdir(parents=True, exist_ok=True)
            # first into a folder of its own: a full disk costs nothing that is there
            for left in folder.glob(f"{_UNFINISHED}*"):
                with contextlib.suppress(FileNotFoundError):  # another run's, just gone
                    if left.stat().st_mtime < time.time() - _KILLED:
                        shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=_UNFINISHED) as whole:
                self._write(Path(whole), summary)
                # in this order, whenever it ends, summary.json names each file of ours
                for name in earlier.difference(names):
                    (folder / name).unlink(missing_ok=True)
                for name in names:  # the summary is the first
                    os.replace(Path(whole, name), folder / name)
        except OSError as error:
            raise ConfigError(
                f"{folder}: cannot be written ({error.strerror}); choose another folder"
            ) from error
        return summary

    def _files(self):
        """File names for each prompt, safe for any prompt and never equal."""
        named = []
        for number, prompt in enumerate(self.prompts, start=1):
            ascii_only = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore")
            words = re.sub(r"[^a-z0-9]+", "-", ascii_only.decode().lower())
            stem = f"{number:02d}-{words.strip('-')[:40].strip('-') or 'prompt'}"
            named.append(
                {
                    "waveform": f"{stem}.wav",
                    "removed": f"{stem}-removed.wav",
                    "picture": f"{stem}.png",
                }
            )
        return named

    def _write(self, folder, summary):
        """Writes all files into a folder that has none of them."""
        rate = self.sample_rate
        atomic.write(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
        audio.write(folder / summary["original"], self.original, rate)
        for index, entry in enumerate(summary["explanations"]):
            files = entry["files"]
            audio.write(folder / files["waveform"], self.waveform[index], rate)
            audio.write(folder / files["removed"], self.removed[index], rate)
            atomic.write(folder / files["picture"], picture.png(self.plot(index)))


def _energy(waveforms):
    """Sum of squares of samples [..., N], without a copy as long as they are."""
    return sum(part.square().sum(-1) for part in waveforms.split(2**18, -1))


def _written(summary):
    """Names of the files that a summary speaks of, itself first."""
    names = ["summary.json", summary["original"]]
    for entry in summary["explanations"]:
        names += entry["files"].values()
    return names


def saved_in(folder):
    """What an explanation left in a folder.

    Arguments
    ---------
    folder : str | Path
        Any.

    Returns
    -------
    tuple
        Names of the files that it wrote, a set, and the recording that it is of; both
        are empty where no explanation was saved.
    """
    try:
        summary = json.loads(Path(folder, "summary.json").read_bytes())
        # they may be deleted, so none is believed that would not be ours
        names = set(filter(_OURS.fullmatch, _written(summary)))
        return names, str(summary.get("source", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set(), ""  # there is none, or it is of something else
