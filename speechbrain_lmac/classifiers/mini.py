"""The embedded default: a small CLAP that ships with the package."""

from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

from speechbrain_lmac import checkpoint, weights
from speechbrain_lmac.classifiers.base import AudioEncoding, ZeroShotClassifier
from speechbrain_lmac.classifiers.text import TextTower
from speechbrain_lmac.spectrogram import STFT, mel_matrix


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    Arguments
    ---------
    channels_in : int
        Channels of the input.
    channels : int
        Channels of the output.
    stride : int
        1, or 2 to halve both axes (rounding up).
    """

    def __init__(self, channels_in, channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Identity()
        if stride > 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity(),
                nn.Conv2d(channels_in, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x):
        """Maps [B, C, F, T] to maps [B, C', ceil(F / stride), ceil(T / stride)]."""
        # in place, since memory costs a tenth of a pass on CPU
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y)).add_(self.shortcut(x))
        return F.relu(y, inplace=True)


class AudioTower(nn.Module):
    """A CNN of four stages on the log-mel spectrogram.

    Arguments
    ---------
    n_mels : int
        Mel bands.
    channels : sequence of int
        Channels of the four stages, at strides 2, 4, 8 and 16.
    blocks : sequence of int
        Residual blocks of the four stages.
    embedding_dim : int
        Size of the space shared with text.
    log_floor : float
        Mel energy below which the tower is deaf.
    dropout : float
        On the pooled features, while training.
    """

    def __init__(
        self,
        n_mels=64,
        channels=(32, 64, 128, 256),
        blocks=(1, 2, 2, 2),
        embedding_dim=256,
        log_floor=5e-5,
        dropout=0.3,
    ):
        super().__init__()
        self.log_floor = log_floor
        self.norm = nn.BatchNorm2d(1)
        # a second channel tells the convolutions which band they look at
        height = torch.linspace(-1, 1, n_mels).reshape(1, 1, n_mels, 1)
        self.register_buffer("height", height, persistent=False)
        self.stem = nn.Sequential(
            nn.Conv2d(2, channels[0], 5, 2, 2, bias=False),
            nn.BatchNorm2d(channels[0]),
            nn.ReLU(),
        )
        stages, width = [], channels[0]
        for index, (out, count) in enumerate(zip(channels, blocks, strict=True)):
            stage = [ResidualBlock(width, out, 1 if index == 0 else 2)]
            stage += [ResidualBlock(out, out) for _ in range(count - 1)]
            stages.append(nn.Sequential(*stage))
            width = out
        self.stages = nn.ModuleList(stages)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(2 * width, embedding_dim)

    def maps(self, mel):
        """Mel energies [B, M, T] to the outputs of the four stages, finest first."""
        x = self.norm(torch.log10(mel + self.log_floor).unsqueeze(1))
        x = torch.cat([x, self.height.expand(len(x), -1, -1, x.shape[-1])], 1)
        x = self.stem(x)
        out = []
        for stage in self.stages:
            x = stage(x)
            out.append(x)
        return tuple(out)

    def pool(self, last_map):
        """The last stage's map to one vector: mean and maximum over time."""
        x = last_map.float().mean(2)
        return torch.cat([x.mean(2), x.amax(2)], 1)

    def forward(self, mel):
        """Mel energies [B, M, T] to unit vectors [B, D] and the four maps."""
        maps = self.maps(mel)
        # similarities are compared to the third decimal: full precision from here on
        with torch.autocast(mel.device.type, enabled=False):
            embedding = self.project(self.dropout(self.pool(maps[-1])))
            return F.normalize(embedding, dim=-1), maps


class MiniCLAP(ZeroShotClassifier):
    """The small CLAP that everything here runs, is tested and is measured with.

    Arguments
    ---------
    vocabulary : bytes
        Serialised SentencePiece model of the text tower.
    sample_rate : int
        In Hz.
    n_fft : int
        Window and transform length in samples.
    hop_length : int
        In samples.
    n_mels : int
        Mel bands from ``f_min`` to half the sample rate.
    f_min : float
        In Hz.
    temperature : float
        Logit scale, learned with the weights.
    audio : dict
        Further settings of :class:`AudioTower`.
    text : dict
        Further settings of :class:`~speechbrain_lmac.classifiers.text.TextTower`.
    """

    window_seconds = 5.0
    prompt_template = "this is the sound of {}"
    map_strides = (2, 4, 8, 16)

    def __init__(
        self,
        vocabulary,
        sample_rate=16000,
        n_fft=1024,
        hop_length=320,
        n_mels=64,
        f_min=50.0,
        temperature=20.0,
        audio=None,
        text=None,
    ):
        super().__init__()
        self.settings = {
            "sample_rate": sample_rate,
            "n_fft": n_fft,
            "hop_length": hop_length,
            "n_mels": n_mels,
            "f_min": f_min,
            "audio": dict(audio or {}),
            "text": dict(text or {}),
        }
        self.name, self.sample_rate, self.temperature = "mini", sample_rate, temperature
        self.stft = STFT(sample_rate, n_fft, hop_length)
        filters = mel_matrix(sample_rate, n_fft, n_mels, f_min, sample_rate / 2)
        self.register_buffer("mel_filters", filters, persistent=False)
        self.audio = AudioTower(n_mels, **(audio or {}))
        self.audio.to(
            memory_format=torch.channels_last
        )  # a sixth faster on CPU in bf16
        self.text = TextTower(vocabulary, **(text or {}))
        self.map_channels = tuple(s[-1].conv2.out_channels for s in self.audio.stages)
        self.embedding_dim = self.audio.project.out_features
        self.freeze()

    @torch.no_grad()
    def embed_text(self, prompts):
        """Sentences, as they are, to unit vectors [P, D]."""
        with torch.autocast(self.device.type, enabled=False):
            return self.text(prompts)

    def to_mel(self, magnitude):
        """STFT magnitudes [B, F, T] to mel energies [B, M, T]."""
        with torch.autocast(magnitude.device.type, enabled=False):
            return self.mel_filters.T @ magnitude.float().square()

    def encode(self, energies, domain="stft"):
        """Hear STFT magnitudes [B, F, T] or mel energies [B, M, T]."""
        mel = self.to_mel(energies) if domain == "stft" else energies
        return AudioEncoding(*self.audio(mel))

    def audio_blocks(self):
        """Projection, the four stages from the coarsest, and what comes before them."""
        audio = self.audio
        stages = [(f"stage {i}", s) for i, s in enumerate(audio.stages, start=1)]
        stem = ("stem", nn.ModuleList([audio.norm, audio.stem]))
        return [("projection", audio.project), *reversed(stages), stem]


class Mini(MiniCLAP):
    """A :class:`MiniCLAP` as ``checkpoint.save_mini`` wrote it; "mini" is the embedded.

    Arguments
    ---------
    folder : str | Path, optional
        With ``classifier.json``, ``classifier.safetensors``, ``vocabulary.model`` and
        ``SHA256SUMS``; None or "mini" is the one that ships with the package.
        CheckpointError, in one line, where a file is missing or damaged.

    Example
    -------
    >>> from speechbrain_lmac.testing import random_classifier
    >>> folder = getfixture("tmp_path")
    >>> checkpoint.save_mini(random_classifier(), folder)
    >>> Mini(folder).embed_text(["a dog barking"]).shape
    torch.Size([1, 32])
    """

    def __init__(self, folder=None):
        embedded = folder is None or str(folder) == "mini"
        folder = checkpoint.PRETRAINED / "mini" if embedded else Path(folder).resolve()
        settings, state = checkpoint.load_mini(folder)
        super().__init__(**settings)
        weights.fill(self, state, folder / "classifier.safetensors")
        self.arguments = {"folder": "mini" if embedded else str(folder)}
