"""Synthesised everyday sounds: a small captioned data set from nothing.

Single sounds, one a clip; mixing them is up to the training pipeline. The same
name and seed always give the same samples.
"""

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from speechbrain_lmac import audio
from speechbrain_lmac.data.published import Clip, build_manifest
from speechbrain_lmac.data.sounds_of_nature import NATURE
from speechbrain_lmac.data.sounds_of_things import THINGS
from speechbrain_lmac.data.studio import Studio
from speechbrain_lmac.errors import ConfigError

# Name -> its function and a second caption.
SOUNDS = dict(sorted((NATURE | THINGS).items()))


def synthesise(
    name: str, seed: int, seconds: float = 5.0, sample_rate: int = 16000
) -> Tensor:
    """One everyday sound with random parameters.

    Arguments
    ---------
    name : str
        A key of ``SOUNDS``; ValueError for any other.
    seed : int
        The same seed gives the same samples.
    seconds : float
        Length of the clip.
    sample_rate : int
        In Hz.

    Returns
    -------
    Tensor
        Samples [seconds * sample_rate] in float32, with a peak of 0.5 to 0.9.

    Example
    -------
    >>> synthesise("siren", seed=0, seconds=2).shape
    torch.Size([32000])
    """
    if name not in SOUNDS:
        raise ValueError(f"no sound named {name!r}; there are {', '.join(SOUNDS)}")
    # The name is part of the seed: two sounds of one seed share no parameter.
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    make, _ = SOUNDS[name]
    x = make(Studio(rng, seconds, sample_rate), rng)
    # a short clip may fall into the pause between two beeps
    x *= rng.uniform(0.5, 0.9) / max(np.abs(x).max(), 1e-9)
    return torch.from_numpy(x.astype(np.float32))


def mix(a: Tensor, b: Tensor, snr_db: float) -> Tensor:
    """Adds ``b`` to ``a`` at a given ratio of their levels.

    Arguments
    ---------
    a : Tensor
        Samples [..., N], which keep their level.
    b : Tensor
        Samples [..., N]; scaled to lie ``snr_db`` below ``a``.
    snr_db : float
        In dB.

    Returns
    -------
    Tensor
        Samples [..., N]; the peak may be above 1.

    Example
    -------
    >>> mixture = mix(torch.ones(100), 3 * torch.ones(100), snr_db=20.0)
    >>> mixture[0]
    tensor(1.1000)
    """
    return a + audio.scaled_below(b, a, snr_db)


def make_dataset(
    folder: str | Path,
    clips_per_sound: int = 20,
    seed: int = 0,
    seconds: float = 5.0,
    sample_rate: int = 16000,
) -> tuple[Path, Path]:
    """Writes clips of every sound and the manifests of two splits.

    Every fifth clip of a sound, and at least one, is for validation.

    Arguments
    ---------
    folder : str | Path
        Gets ``audio/*.wav``, ``train.csv`` and ``valid.csv``.
    clips_per_sound : int
        At least 2.
    seed : int
        The same seed gives the same files.
    seconds : float
        Length of a clip.
    sample_rate : int
        In Hz.

    Returns
    -------
    tuple[Path, Path]
        The manifests of the training and the validation clips, with two
        captions for each clip.

    Example
    -------
    >>> train, valid = make_dataset(getfixture("tmp_path"), 2, seconds=1)
    >>> len(train.read_text().splitlines()) == 1 + len(SOUNDS)
    True
    """
    if clips_per_sound < 2:
        raise ConfigError(f"clips_per_sound is {clips_per_sound}: give 2 or more")
    folder = Path(folder)
    held_out = max(1, clips_per_sound // 5)
    clips: dict[str, list[Clip]] = {"train": [], "valid": []}
    for name, (_, phrase) in tqdm(SOUNDS.items(), desc="synthesising", disable=None):
        for index in range(clips_per_sound):
            split = "valid" if index < held_out else "train"
            path = folder / "audio" / f"{name.replace(' ', '_')}_{index:03d}.wav"
            waveform = synthesise(name, seed * 1_000_000 + index, seconds, sample_rate)
            audio.write(path, waveform, sample_rate)
            clips[split].append(Clip(path, [name, phrase], split, name))
    for split in clips:
        build_manifest(clips[split], folder / f"{split}.csv")
    return folder / "train.csv", folder / "valid.csv"
