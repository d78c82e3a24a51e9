"""What LAION's CLAP hears, whichever library it runs in: front end and window.

The network was trained on ten seconds. ``laion_clap`` and ``transformers`` fill them
with a shorter clip by repeating it as often as it fits and adding silence, and take a
random part of a longer one (Wu et al., arXiv 2211.06687, section 2.3, without fusion).
"""

from abc import abstractmethod

import torch
import torch.nn.functional as F

from speechbrain_lmac.classifiers.base import AudioEncoding, ZeroShotClassifier
from speechbrain_lmac.spectrogram import STFT

SAMPLE_RATE, N_FFT, HOP = 48000, 1024, 480
N_MELS, F_MIN, F_MAX = 64, 50, 14000
WINDOW = 10 * SAMPLE_RATE  # samples
FRAMES = WINDOW // HOP + 1
FLOOR = 1e-10  # of the mel energies, before they become dB


class Window:
    """Where a clip of T frames lies in the ten seconds that the network hears.

    Arguments
    ---------
    frames : int
        T, of the clip.
    seed : int
        Chooses the part of a longer clip; the same for all clips of T frames.

    Example
    -------
    >>> window = Window(301)
    >>> window.fill(torch.rand(2, 64, 301)).shape
    torch.Size([2, 64, 1001])
    """

    def __init__(self, frames, seed=0):
        self.frames = frames
        spare = max(0, frames - FRAMES)
        generator = torch.Generator().manual_seed(seed)
        self.start = int(torch.randint(spare + 1, (), generator=generator))

    def fill(self, values):
        """Clips to windows of 1001 frames: the last axis is that of time.

        A clip of T frames lasts T - 1 hops: its last frame is centred where the next
        copy begins, so that the copies are T - 1 frames apart.
        """
        if self.frames >= FRAMES:
            return values[..., self.start : self.start + FRAMES]
        period = max(1, self.frames - 1)
        copies = (FRAMES - 1) // period
        repeated = values[..., :period].repeat(*[1] * (values.dim() - 1), copies)
        filled = torch.cat([repeated, values[..., -1:]], -1)
        return F.pad(filled, (0, FRAMES - filled.shape[-1]))

    def own(self, maps, stride):
        """The clip's part of maps of the window, and the maps that contain this part.

        What is returned second is computed from the first, so that what follows has a
        gradient with respect to the clip's own part: that of the first copy, where
        there are several, with the others held; zero outside the part that was heard.

        Arguments
        ---------
        maps : torch.Tensor
            [B, C, F', T'] of a window.
        stride : float
            Frames of the window per column of the map.

        Returns
        -------
        torch.Tensor
            [B, C, F', ceil(T / stride)]: a clip longer than the window has zeros around
            the part that is heard.
        torch.Tensor
            As ``maps``.
        """
        columns, width = -int(-self.frames // stride), maps.shape[-1]
        if self.frames == FRAMES:
            return maps, maps
        if self.frames < FRAMES:
            own = maps[..., :columns]
            return own, torch.cat([own, maps[..., columns:]], -1)
        left = min(round(self.start / stride), columns - width)
        own = F.pad(maps, (left, columns - width - left))
        return own, own[..., left : left + width]


class CLAPFrontEnd(ZeroShotClassifier):
    """A classifier that hears ten seconds of log-mel energies at 48 kHz.

    A backend adds its networks and says how they listen and read.

    Arguments
    ---------
    mel_filters : torch.Tensor
        The library's own mel matrix [513, 64].
    tokenizer : callable
        RoBERTa's, of transformers.
    seed : int
        Chooses the part that is heard of a clip longer than the window.
    """

    sample_rate = SAMPLE_RATE
    window_seconds = WINDOW / SAMPLE_RATE
    repeats_short_clips = True
    prompt_template = "this is the sound of {}"
    embedding_dim = 512
    max_tokens = 77  # as in LAION's training

    def __init__(self, mel_filters, tokenizer, seed):
        super().__init__()
        self.tokenizer, self.seed = tokenizer, seed
        self.stft = STFT(SAMPLE_RATE, N_FFT, HOP)
        self.register_buffer("mel_filters", mel_filters.detach(), persistent=False)

    @abstractmethod
    def listen(self, log_mel, window):
        """DB [B, 1, 1001, 64] and where the clip is to embeddings [B, D] and maps."""

    @abstractmethod
    def read(self, ids, attention_mask):
        """Tokens [P, L] and which of them count to embeddings [P, D]."""

    def fill(self, waveform):
        """What the libraries hear of waveforms: exactly ten seconds.

        Arguments
        ---------
        waveform : torch.Tensor
            [..., N]. A shorter one is repeated as often as it fits and followed by
            silence; of a longer one, the part is taken that :meth:`encode` takes of its
            spectrogram.

        Returns
        -------
        torch.Tensor
            [..., 480000].
        """
        length = waveform.shape[-1]
        if length > WINDOW:
            start = Window(length // HOP + 1, self.seed).start * HOP
            return waveform[..., start : start + WINDOW]
        copies = WINDOW // length
        repeated = waveform.repeat(*[1] * (waveform.dim() - 1), copies)
        return F.pad(repeated, (0, WINDOW - copies * length))

    @torch.no_grad()
    def embed_text(self, prompts):
        """Sentences, as they are, to unit vectors [P, D]."""
        tokens = self.tokenizer(
            list(prompts),
            padding=True,
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
        ).to(self.device)
        with torch.autocast(self.device.type, enabled=False):
            text = self.read(tokens["input_ids"], tokens["attention_mask"])
            return F.normalize(text, dim=-1)

    def to_mel(self, magnitude):
        """STFT magnitudes [B, F, T] to mel energies [B, M, T]."""
        with torch.autocast(magnitude.device.type, enabled=False):
            return self.mel_filters.T @ magnitude.float().square()

    def encode(self, energies, domain="stft"):
        """Hear STFT magnitudes [B, F, T] or mel energies [B, M, T] of any T.

        Clips that are shorter or longer than the window are brought to its 1001 frames
        here, so that what masks a clip masks every copy of it. For T = 1001 this is
        what the library makes of the waveform. A clip's own frames know nothing of the
        seams between copies, and of the cut of a longer clip: there, two or three
        frames differ from the library's, which sees :meth:`fill` of the waveform.
        """
        mel = self.to_mel(energies) if domain == "stft" else energies
        window = Window(mel.shape[-1], self.seed)
        filled = window.fill(mel.float()).transpose(1, 2).unsqueeze(1)
        embedding, maps = self.listen(10 * filled.clamp(min=FLOOR).log10(), window)
        return AudioEncoding(F.normalize(embedding.float(), dim=-1), maps)
