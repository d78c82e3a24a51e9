"""What the classifier hears in place of a clip: the clip itself, or a mixture.

Every condition is a callable ``(clip, clips, draw) -> Sound``. What it draws depends on
the clip and the seed alone, so that all explainers are asked about the same mixture.
"""

import hashlib
import warnings
from pathlib import Path
from typing import NamedTuple

import torch

from speechbrain_lmac import audio
from speechbrain_lmac.audio_file import SUFFIXES
from speechbrain_lmac.errors import AudioInputError, ConfigError

# L-MAC's out-of-domain sets, as its code mixes them: unit norms times 0.8 and 0.2, and
# for white noise times 2 and 1
SNR_PRESETS = {"lmac_mixture": 12.04, "lmac_noise": 6.02}


class Sound(NamedTuple):
    """What is heard, and what it consists of."""

    waveform: torch.Tensor  # [N]
    source: torch.Tensor  # the clip's own part of it [N]
    background: torch.Tensor  # the rest [N]; zeros where there is none


def generator(seed, *names):
    """A random generator of its own for whatever the names say.

    Arguments
    ---------
    seed : int
        Of the evaluation.
    *names : str
        Such as a condition and a clip.

    Returns
    -------
    torch.Generator

    Example
    -------
    >>> a, b = generator(1, "noise", "clip"), generator(1, "noise", "clip")
    >>> bool((torch.randn(3, generator=a) == torch.randn(3, generator=b)).all())
    True
    """
    digest = hashlib.sha256(repr((seed, *names)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7]))


def mix(source, background, snr_db):
    """A sound and a background scaled to lie ``snr_db`` below it.

    Arguments
    ---------
    source : torch.Tensor
        [N]; stays as it is.
    background : torch.Tensor
        [N].
    snr_db : float
        Ratio of the energies of the two over all N samples, in dB.

    Returns
    -------
    Sound
        A silent source has no level to keep a distance from: its mixture is silent. A
        silent background adds nothing.

    Example
    -------
    >>> sound = mix(torch.ones(4), torch.full((4,), 5.0), snr_db=20.0)
    >>> sound.background
    tensor([0.1000, 0.1000, 0.1000, 0.1000])
    """
    background = audio.scaled_below(background, source, snr_db)
    return Sound(source + background, source, background)


class InDomain:
    """The clip as it is."""

    available = True
    prompted_by_label = False  # the explained prompt is the predicted one
    recordings = ()  # names of those from elsewhere

    def __call__(self, clip, clips, draw):
        """A clip's ID to a :class:`Sound`."""
        waveform = clips.read(clip)
        return Sound(waveform, waveform, torch.zeros_like(waveform))


class Mixture:
    """The clip with something else; subclasses say with what.

    Arguments
    ---------
    snr_db : float or str
        How far the other lies below the clip, in dB, or one of ``SNR_PRESETS``: of
        energies over the window that the classifier hears. A clip that is shorter
        stands out by more where it sounds.
    """

    available = True
    prompted_by_label = False
    recordings = ()

    def __init__(self, snr_db=3.0):
        value = SNR_PRESETS.get(snr_db, snr_db) if isinstance(snr_db, str) else snr_db
        if not (isinstance(value, int | float) and -100 <= value <= 100):
            known = ", ".join(SNR_PRESETS)
            raise ConfigError(f"snr_db '{snr_db}': give -100 to 100 dB, or {known}")
        self.snr_db = value

    def __call__(self, clip, clips, draw):
        """A clip's ID to a :class:`Sound`."""
        source = clips.read(clip)
        return mix(source, self.background(clip, clips, draw, len(source)), self.snr_db)


class WithAnotherClip(Mixture):
    """A clip of another class of the same set."""

    def background(self, clip, clips, draw, length):
        """Waveform [N]."""
        return clips.audible_of_other_class(clip, draw)


class TwoSources(WithAnotherClip):
    """Two clips whose parts are known, asked about the class of the first."""

    prompted_by_label = True


class WithWhiteNoise(Mixture):
    """White Gaussian noise."""

    def background(self, clip, clips, draw, length):
        """Waveform [N]."""
        return torch.randn(length, generator=draw)


class WithSpeech(Mixture):
    """A drawn recording of a folder, from a drawn place, repeated where it ends.

    Arguments
    ---------
    folder : str | Path
        Holds audio files, also in folders below, as LJSpeech does in ``wavs/``; None
        leaves the condition out of an evaluation.
    snr_db : float or str
        How far the speech lies below the clip, in dB, or one of ``SNR_PRESETS``.
    """

    def __init__(self, folder, snr_db=3.0):
        super().__init__(snr_db)
        self.folder, self.available = folder, folder is not None
        if not self.available:
            return
        found = sorted(Path(folder).rglob("*"))
        self.files = [f for f in found if f.suffix.lower() in SUFFIXES]
        if not self.files:
            raise ConfigError(
                f"{folder}: no recordings of speech; give the folder of LJSpeech"
            )
        self.recordings = [file.relative_to(folder).as_posix() for file in self.files]

    def background(self, clip, clips, draw, length):
        """Waveform [N], of another recording where one is damaged."""
        left = list(self.files)
        while left:
            file = left.pop(int(torch.randint(len(left), (), generator=draw)))
            try:
                speech = audio.read(file, clips.sample_rate)
            except AudioInputError as error:
                warnings.warn(str(error), stacklevel=2)  # each is told once
                continue
            start = int(torch.randint(len(speech), (), generator=draw))
            repeats = -(-(start + length) // len(speech))
            return speech.repeat(repeats)[start : start + length]
        raise ConfigError(
            f"{self.folder}: none of its recordings of speech can be read; copy them "
            "again or leave this condition out"
        )
