"""Audio files: what is read back, and every bad input named in one line."""

import io
import os
import struct
import subprocess
import sys
import wave

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_lmac import audio, audio_file
from speechbrain_lmac.errors import AudioInputError, UserError


def noise(samples, channels=1, seed=0):
    shape = (samples, channels) if channels > 1 else (samples,)
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype("float32")


@pytest.fixture
def wav(tmp_path):
    """A good wav file of half a second at 16 kHz."""
    path = tmp_path / "a clip (ä).wav"
    soundfile.write(path, noise(8000), 16000)
    return path


def refusal(path, **options):
    """The message with which ``path`` is refused: one line, naming the file."""
    with pytest.raises(AudioInputError) as caught:
        audio.read(path, **options)
    message = str(caught.value)
    assert isinstance(caught.value, UserError)
    assert str(path) in message and ";" in message and "\n" not in message
    return message


def test_written_is_read_back(tmp_path):
    waveform = torch.from_numpy(noise(8000))
    path = tmp_path / "new folder" / "x.wav"
    audio.write(path, waveform, 16000)
    back = audio.read(path)
    assert back.dtype == torch.float32 and back.shape == (8000,)
    assert (back - waveform).abs().max() < 2 / 2**15
    assert soundfile.info(path).subtype == "PCM_16"
    assert [p.name for p in path.parent.iterdir()] == ["x.wav"]


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
def test_formats_channels_and_info(tmp_path, extension):
    path = tmp_path / f"x.{extension}"
    left = 0.5 * np.sin(np.arange(22050) * 0.1)
    soundfile.write(path, np.stack([left, 0 * left], axis=1), 44100)
    assert audio.info(path) == (0.5, 44100, 2)
    waveform = audio.read(path)
    assert waveform.shape == (22050,)
    middle = slice(2000, 20000)  # lossy codecs differ at the ends
    expected = torch.from_numpy(left[middle] / 2).float()
    assert (waveform[middle] - expected).abs().max() < 0.02


def test_part_of_a_file(wav):
    whole = audio.read(wav)
    assert torch.equal(audio.read(wav, start=100, frames=50), whole[100:150])
    assert torch.equal(audio.read(wav, start=7990, frames=50), whole[7990:])
    assert "past the end" in refusal(wav, start=8000)


def test_resampling_keeps_a_tone(tmp_path):
    time = np.arange(44100) / 44100
    soundfile.write(tmp_path / "x.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 44100)
    waveform = audio.read(tmp_path / "x.wav", sample_rate=16000)
    expected = 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(16000) / 16000)
    assert waveform.shape == (16000,)
    assert (waveform - expected)[200:-200].abs().max() < 2e-3
    assert audio.resample(waveform, 16000, 16000) is waveform


def test_loud_is_scaled_not_clipped_and_quiet_is_left(tmp_path):
    waveform = torch.from_numpy(noise(1000))
    for gain, level in [(10.0, 1.0 / waveform.abs().max()), (0.1, 0.1)]:
        audio.write(tmp_path / "x.wav", waveform * gain, 16000)
        difference = audio.read(tmp_path / "x.wav") - waveform * level
        assert difference.abs().max() < 2 / 2**15


def test_bad_waveform_leaves_the_old_file(wav):
    before = wav.read_bytes()
    with pytest.raises(AudioInputError, match="not written"):
        audio.write(wav, torch.tensor([0.0, float("nan")]), 16000)
    with pytest.raises(wave.Error):
        audio.write(wav, torch.zeros(10), "fast")
    with pytest.raises(ValueError, match="unpack"):
        audio.write(wav, torch.zeros(2, 10), 16000)
    assert wav.read_bytes() == before
    assert list(wav.parent.iterdir()) == [wav]


def test_what_is_written_is_what_soundfile_writes(tmp_path):
    edges = torch.arange(-(2**15), 2**15) / 2**15
    beside = [edges.nextafter(torch.tensor(x)) for x in (-2.0, 2.0)]
    waveform = torch.cat([torch.from_numpy(noise(99999)), edges, *beside]).clamp(-1, 1)
    for samples in (waveform, waveform[:0]):
        expected = io.BytesIO()
        soundfile.write(expected, samples.numpy(), 44100, "PCM_16", format="WAV")
        audio.write(tmp_path / "x.wav", samples, 44100)
        assert (tmp_path / "x.wav").read_bytes() == expected.getvalue()


def test_a_full_disk_is_an_oserror(wav):
    """In C, soundfile would lose it; it fails in a later part, or when all is done."""
    before = wav.read_bytes()
    code = f"""if True:
        import resource, signal, torch
        from speechbrain_lmac import audio

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        for count in (10000, 2**19):
            try:
                audio.write({str(wav)!r}, torch.zeros(count), 16000)
            except OSError as error:
                print(error.strerror)
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout == "File too large\n" * 2 and not ended.stderr
    assert wav.read_bytes() == before and list(wav.parent.iterdir()) == [wav]


def test_samples_without_a_header(wav):
    assert "no header" in refusal(wav.rename(wav.with_suffix(".RAW")))


def test_what_cannot_be_reached(tmp_path, monkeypatch):
    assert "cannot be reached" in refusal(tmp_path / ("x" * 300 + ".wav"))
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    assert "cannot be reached" in refusal(tmp_path / "loop.wav")
    assert "null byte" in refusal(tmp_path / "a\0.wav")
    assert "no such file" in refusal(tmp_path / "loop.txt" / "x.wav")

    def locked(path, **options):  # root may enter everything
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(audio_file.Path, "stat", locked)
    assert "cannot be reached (Permission denied)" in refusal(tmp_path / "x.wav")


def test_missing_folder_empty_and_text(tmp_path):
    assert "no such file" in refusal(tmp_path / "none.wav")
    assert "not a file" in refusal(tmp_path)
    (tmp_path / "empty.wav").touch()
    assert "empty" in refusal(tmp_path / "empty.wav")
    (tmp_path / "text.wav").write_text("This is not a recording.\n" * 50)
    assert "cannot be read as audio" in refusal(tmp_path / "text.wav")


def test_header_only(wav, tmp_path):
    (tmp_path / "no_data.wav").write_bytes(wav.read_bytes()[:36])
    assert "cannot be read" in refusal(tmp_path / "no_data.wav")
    (tmp_path / "header.wav").write_bytes(wav.read_bytes()[:44])
    assert "cut short" in refusal(tmp_path / "header.wav")
    soundfile.write(tmp_path / "nothing.wav", noise(0), 16000)
    assert "no samples" in refusal(tmp_path / "nothing.wav")


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg"])
def test_cut_short(tmp_path, extension):
    path = tmp_path / f"x.{extension}"
    soundfile.write(path, noise(16000), 16000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])
    refusal(path)


@pytest.mark.parametrize("extension", ["mp3", "ogg"])
def test_cut_short_where_the_length_is_not_known(tmp_path, extension):
    """What is there is read, and nothing else."""
    path = tmp_path / f"x.{extension}"
    soundfile.write(path, 0.1 * noise(20 * 16000), 16000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with soundfile.SoundFile(path) as file:
        there = file.read(dtype="float32")
    assert 5 * 16000 < len(there) < 15 * 16000
    torch.testing.assert_close(audio.read(path), torch.from_numpy(there))
    assert len(audio.read(path, start=16000)) == len(there) - 16000


def test_a_flac_that_does_not_know_its_length(tmp_path):
    """As `flac -` and ffmpeg write them to a pipe."""
    path = tmp_path / "x.flac"
    soundfile.write(path, noise(8000), 16000)
    content = bytearray(path.read_bytes())
    assert content[:4] == b"fLaC"
    content[21] &= 0xF0  # 36 bits of the stream's information: how many samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert "does not know its length" in refusal(path)
    with pytest.raises(AudioInputError, match="does not know its length"):
        audio.info(path)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ALAW"])
@pytest.mark.parametrize("kind", ["wav", "rf64", "w64", "aiff", "au"])
def test_cut_by_little(tmp_path, kind, subtype):
    path = tmp_path / f"x.{kind}"
    soundfile.write(path, noise(16000), 16000, subtype, format=kind.upper())
    assert len(audio.read(path)) == 16000
    path.write_bytes(path.read_bytes()[:-2])
    assert "cut short" in refusal(path)


@pytest.mark.parametrize(
    ("kind", "at", "size"),
    [  # as sox and ffmpeg write them to a pipe
        ("aiff", 42, struct.pack(">I", 8 + 0x7F000000)),
        ("au", 8, b"\xff" * 4),
    ],
)
def test_a_header_that_does_not_know_the_length(tmp_path, kind, at, size):
    path = tmp_path / f"x.{kind}"
    soundfile.write(path, noise(8000), 16000, "PCM_16", format=kind.upper())
    content = bytearray(path.read_bytes())
    assert 0 < int.from_bytes(content[at : at + 4], "big") < 20000
    content[at : at + len(size)] = size
    path.write_bytes(content)
    assert audio.info(path).duration == 0.5


@pytest.mark.parametrize("rate", [1, 99, 10**6 + 1, 99999989, 2**31 - 1])
def test_a_rate_that_no_recording_has(wav, rate):
    content = bytearray(wav.read_bytes())
    content[24:28] = struct.pack("<I", rate)
    wav.write_bytes(content)
    assert f"says {rate} Hz" in refusal(wav, sample_rate=16000)


def test_a_name_that_is_not_utf8(wav):
    other = wav.rename(wav.with_name(os.fsdecode(b"caf\xe9.wav")))
    assert audio.info(other) == (0.5, 16000, 1) and len(audio.read(other)) == 8000
    other.write_text("This is not a recording.")
    assert "cannot be read as audio" in refusal(other)


def test_cut_short_behind_another_chunk(wav):
    content = wav.read_bytes()
    extra = b"LIST" + struct.pack("<I", 5) + b"notes\0"  # odd length, padded
    wav.write_bytes(content[:36] + extra + content[36:])
    assert len(audio.read(wav)) == 8000
    wav.write_bytes(wav.read_bytes()[:-2])
    assert "cut short" in refusal(wav)
    with pytest.raises(AudioInputError, match="cut short"):
        audio.info(wav)


def test_wav_from_a_pipe_is_not_cut_short(wav):
    content = bytearray(wav.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    wav.write_bytes(content)
    assert len(audio.read(wav)) == 8000


def test_a_rate_that_shares_no_divisor(tmp_path):
    """torchaudio would need gigabytes for it."""
    time = np.arange(11127) / 11127
    soundfile.write(tmp_path / "x.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 11127)
    waveform = audio.read(tmp_path / "x.wav", sample_rate=16000)
    expected = 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(16000) / 16000)
    assert waveform.shape == (16000,) and waveform.dtype == torch.float32
    assert (waveform - expected)[200:-200].abs().max() < 2e-3


def test_unreadable(wav, monkeypatch):
    # root may read everything
    monkeypatch.setattr(audio_file.os, "access", lambda path, mode: False)
    assert "permissions" in refusal(wav)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e25])
def test_not_finite(tmp_path, bad):
    samples = noise(100)
    samples[7] = bad
    soundfile.write(tmp_path / "x.wav", samples, 16000, subtype="FLOAT")
    assert "NaN" in refusal(tmp_path / "x.wav")


def test_scaled_below():
    """By the energies of each; silence has no level."""
    source = torch.tensor([[1.0, -1.0], [0.1, 0.3], [0.0, 0.0], [1.0, 1.0]])
    background = torch.tensor([[3.0, 3.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    apart = torch.tensor([[0.0], [10.0], [3.0], [3.0]])
    wanted = torch.tensor([[1.0, 1.0], [0.0, 0.1], [0.0, 0.0], [0.0, 0.0]])
    found = audio.scaled_below(background, source, apart)
    assert torch.allclose(found, wanted, atol=1e-6) and found.dtype == torch.float32
