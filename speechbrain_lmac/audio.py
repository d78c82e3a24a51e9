"""Reading, resampling and writing audio; windows over long clips.

Everything that enters the package from a file passes ``read``, so a waveform
past this point is mono, float32, finite and not empty.
"""

import math
import wave
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from speechbrain_lmac import atomic
from speechbrain_lmac.audio_file import opened
from speechbrain_lmac.errors import AudioInputError

# Samples as 32-bit integers reach 2e9; beyond this, energies in float32 overflow.
LOUDEST = 1e12
_PART = 2**18  # samples that are read, averaged or written together
# Entries of torchaudio's resampling kernel, in float64, before it is no longer small:
# 44100 to 16000 Hz has 70 thousand, 44101 to 16000 Hz 700 million.
_LARGEST_KERNEL = 2**22


class AudioInfo(NamedTuple):
    """What the header of an audio file says."""

    duration: float  # seconds
    sample_rate: int
    channels: int


def info(path: str | Path) -> AudioInfo:
    """Reads the header of an audio file.

    Arguments
    ---------
    path : str | Path
        A wav, flac, ogg or mp3 file.

    Returns
    -------
    AudioInfo
        ``duration`` in seconds, ``sample_rate`` in Hz and ``channels``. An
        unusable file raises AudioInputError.

    Example
    -------
    >>> path = getfixture("tmp_path") / "half.wav"
    >>> write(path, torch.zeros(8000), 16000)
    >>> info(path)
    AudioInfo(duration=0.5, sample_rate=16000, channels=1)
    """
    with opened(path) as file:
        return AudioInfo(file.frames / file.samplerate, file.samplerate, file.channels)


def read(
    path: str | Path, sample_rate: int | None = None, start: int = 0, frames: int = -1
) -> Tensor:
    """Reads an audio file as one channel of finite float32 samples.

    Arguments
    ---------
    path : str | Path
        A wav, flac, ogg or mp3 file of any sample rate; channels are averaged.
    sample_rate : int, optional
        Resample to this rate in Hz; None keeps the rate of the file.
    start : int
        First sample to read, counted at the rate of the file.
    frames : int
        How many samples to read, counted at the rate of the file; -1 reads to
        the end, and there are fewer where the file ends earlier. (An mp3 file of
        varying bit rate ends where its header, or without one its first frames, say;
        an mp3 or ogg file that was cut short, where it was cut.)

    Returns
    -------
    Tensor
        The waveform [N]. AudioInputError, in one line with the remedy, when the
        file is missing, unreadable, empty, not audio, cut short, without samples,
        or holds NaN, infinite or far too large samples.

    Example
    -------
    >>> path = getfixture("tmp_path") / "tone.wav"
    >>> write(path, torch.sin(torch.arange(44100) * 0.1), 44100)
    >>> read(path, sample_rate=16000).shape
    torch.Size([16000])
    """
    import soundfile

    with opened(path) as file:
        if start >= file.frames:
            raise AudioInputError(
                f"{path}: reading from sample {start} is past the end of its "
                f"{file.frames} samples; give an earlier start"
            )
        wanted = file.frames - start
        if frames >= 0:
            wanted = min(wanted, frames)
        waveform = torch.empty(wanted)
        try:
            file.seek(start)
            # channels are averaged a part at a time, never held together; not by
            # SoundFile.blocks, which hands out old memory where a file ends early
            read, options = 0, {"dtype": "float32", "always_2d": True}
            while len(part := file.read(min(_PART, wanted - read), **options)):
                waveform[read : read + len(part)] = torch.from_numpy(part).mean(dim=1)
                read += len(part)
        except soundfile.LibsndfileError as error:
            raise AudioInputError(
                f"{path}: damaged or cut short; copy or convert it again"
            ) from error
        rate = file.samplerate
        # The length of an mp3 file may be an estimate from its first frames: one that
        # was cut short is read as far as it goes.
        least = min(wanted, 1) if file.format == "MP3" else wanted
    if read < least:
        raise AudioInputError(
            f"{path}: cut short, {read} of {wanted} samples are there; "
            "copy or convert it again"
        )
    waveform = waveform[:read]
    if not peak(waveform) < LOUDEST:  # nor is NaN
        raise AudioInputError(
            f"{path}: holds NaN, infinite or far too large samples; export it again as "
            "16-bit PCM"
        )
    return waveform if sample_rate is None else resample(waveform, rate, sample_rate)


def write(path: str | Path, waveform: Tensor, sample_rate: int) -> None:
    """Writes a 16-bit PCM wav file, whole or not at all.

    A waveform whose peak is above 1 is scaled down to a peak of 1 rather than
    clipped; any other keeps its level. Missing folders are made.

    Arguments
    ---------
    path : str | Path
        The file to write, replaced if it is there.
    waveform : Tensor
        Samples [N], full scale at 1. NaN or infinite ones raise AudioInputError.
    sample_rate : int
        In Hz.

    Returns
    -------
    None
        OSError where there is no room for it.

    Example
    -------
    >>> path = getfixture("tmp_path") / "loud.wav"
    >>> write(path, torch.tensor([0.0, 4.0, -2.0]), 16000)
    >>> read(path).round(decimals=3)
    tensor([ 0.0000,  1.0000, -0.5000])
    """
    waveform = waveform.detach().to("cpu", torch.float32)
    loudest = peak(waveform)
    if not loudest.isfinite():
        raise AudioInputError(
            f"{path}: not written, the waveform holds NaN or infinite samples; "
            "check what it was computed from"
        )
    (count,) = waveform.shape
    # not by soundfile, which loses the error of a full disk
    with atomic.opened(path) as file, wave.open(file, "wb") as wav:
        wav.setparams((1, 2, sample_rate, count, "NONE", "not compressed"))
        # a part at a time: no copy as long as the waveform, nor the file in memory
        for part in waveform.split(_PART):
            # as libsndfile does it: rounded to 32 bits, of which the upper 16 are kept
            part = (part / loudest.clamp(min=1.0) * 2**31).round() / 2**16
            part = part.floor().clamp(max=2**15 - 1)
            wav.writeframesraw(part.numpy().astype("<i2").tobytes())


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Changes the sample rate by a windowed sinc.

    Arguments
    ---------
    waveform : Tensor
        Samples [..., N].
    from_rate : int
        The rate of the waveform in Hz.
    to_rate : int
        The rate wanted in Hz.

    Returns
    -------
    Tensor
        Samples [..., ceil(N * to_rate / from_rate)].

    Example
    -------
    >>> resample(torch.zeros(2, 100), 44100, 16000).shape
    torch.Size([2, 37])
    """
    if from_rate == to_rate:
        return waveform
    common = math.gcd(from_rate, to_rate)
    up, down = to_rate // common, from_rate // common
    if up * down > _LARGEST_KERNEL:
        from scipy.signal import resample_poly

        resampled = resample_poly(waveform.numpy(), up, down, axis=-1)
        return torch.from_numpy(resampled).to(waveform.dtype)
    import torchaudio

    return torchaudio.functional.resample(waveform, from_rate, to_rate)


def scaled_below(background: Tensor, source: Tensor, snr_db: float | Tensor) -> Tensor:
    """A background at the level that lies ``snr_db`` below that of a source.

    Arguments
    ---------
    background : Tensor
        Samples [..., N].
    source : Tensor
        Samples [..., N].
    snr_db : float or Tensor
        Ratio of the energies of the two over all N samples, in dB; of each [..., 1].

    Returns
    -------
    Tensor
        Samples [..., N]. Zeros where either is silent: silence has no level, neither
        to keep a distance from nor to be brought to.

    Example
    -------
    >>> scaled_below(torch.full((4,), 5.0), torch.ones(4), snr_db=20.0)
    tensor([0.1000, 0.1000, 0.1000, 0.1000])
    """
    above, below = (
        x.double().square().sum(-1, keepdim=True) for x in (source, background)
    )
    gain = (above / below.clamp(min=1e-30) / 10 ** (snr_db / 10)).sqrt()
    return (gain * background.double()).to(background.dtype)


def peak(waveform: Tensor) -> Tensor:
    """The largest magnitude of samples, with no copy of them.

    Arguments
    ---------
    waveform : Tensor
        Samples [N].

    Returns
    -------
    Tensor
        A scalar, 0 where there are no samples; NaN where one is NaN.

    Example
    -------
    >>> peak(torch.tensor([0.25, -0.5]))
    tensor(0.5000)
    """
    if not waveform.numel():
        return torch.zeros(())
    return torch.stack(waveform.aminmax()).abs().max()
