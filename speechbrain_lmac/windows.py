"""Windows over a clip that is longer than what a classifier was trained to hear."""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

OVERLAP = 0.2  # of neighbouring windows


class Windows:
    """The windows in which a classifier hears a clip.

    They start on frames of the clip's STFT, so that the mask of a window is a part of a
    mask of the clip. A shorter clip is one window. Only those
    that are asked for are cut.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Says how long a window is; one without that hears any clip in one.
    length : int
        Samples of the clip.

    Example
    -------
    >>> from speechbrain_lmac.testing import random_classifier
    >>> windows = Windows(random_classifier(), length=12 * 16000)
    >>> windows.starts  # in frames
    [0, 200, 350]
    >>> waveform = torch.randn(12 * 16000)
    >>> [tuple(windows.cut(waveform, few).shape) for few in windows.batches(2)]
    [(2, 80000), (1, 80000)]
    >>> windows.join(torch.rand(3, 2, 513, 251)).shape
    torch.Size([2, 513, 601])
    """

    def __init__(self, classifier, length):
        hop, seconds = classifier.stft.hop_length, classifier.window_seconds
        whole = -(-length // hop)  # in frames, as all of the following
        window = int(seconds * classifier.sample_rate) // hop if seconds else whole
        if classifier.repeats_short_clips:
            window = min(window, whole)
        overlap = int(OVERLAP * window)
        self._hop, self._window, self._overlap = hop, window, overlap
        # n hops have n + 1 frames, since the first is centred on the first sample
        self.total, self.frames = max(whole, window) + 1, window + 1
        self.overlap = overlap + 1
        self.starts = starts(self.total, self.frames, window - overlap)

    def batches(self, size):
        """Indices of the windows from first to last, at most ``size`` at a time."""
        for first in range(0, len(self.starts), size):
            yield range(first, min(first + size, len(self.starts)))

    def cut(self, waveforms, batch):
        """Samples of the clip to a batch of W windows.

        [..., N] to [..., W, window]. Silence fills up the last frame. Windows of a
        batch are neighbours, so that they lie in the stretch as all of them do in the
        clip.
        """
        first, last = self.starts[batch[0]], self.starts[batch[-1]] + self._window
        stretch = waveforms[..., first * self._hop : last * self._hop]
        missing = (last - first) * self._hop - stretch.shape[-1]
        window, overlap = self._window * self._hop, self._overlap * self._hop
        return split(F.pad(stretch, (0, missing)), window, overlap)

    def of(self, mask, batch):
        """A mask of the clip to those of a batch of W windows.

        [..., T] to [W, ..., T'].
        """
        firsts = [self.starts[index] for index in batch]
        return torch.stack([mask[..., i : i + self.frames] for i in firsts])

    def join(self, masks):
        """Masks of all windows, as they come, to one mask of the clip.

        [..., T'] each to [..., T].
        """
        return join(masks, self.total, self.overlap)


def starts(length: int, window: int, hop: int) -> list[int]:
    """Where windows over a clip start, so that they cover all of it.

    The last window is moved back to end with the clip: a classifier then hears a full
    window of sound there and not a rest padded with silence.

    Arguments
    ---------
    length : int
        Samples of the clip.
    window : int
        Samples of a window.
    hop : int
        Samples from one start to the next.

    Returns
    -------
    list[int]
        The first sample of each window; [0] where one window is enough.

    Example
    -------
    >>> starts(length=25, window=10, hop=8)
    [0, 8, 15]
    """
    if length <= window:
        return [0]
    return [*range(0, length - window, hop), length - window]


def split(waveform: Tensor, window: int, overlap: int) -> Tensor:
    """Cuts a clip into overlapping windows.

    Arguments
    ---------
    waveform : Tensor
        Samples [..., N]. A clip shorter than one window is padded with zeros.
    window : int
        Samples of a window.
    overlap : int
        Samples that neighbours share, less than a window. The last two may share more
        (see ``starts``).

    Returns
    -------
    Tensor
        Windows [..., W, window], which ``join`` puts together again.

    Example
    -------
    >>> split(torch.arange(7.0), window=4, overlap=2)
    tensor([[0., 1., 2., 3.],
            [2., 3., 4., 5.],
            [3., 4., 5., 6.]])
    """
    length = waveform.shape[-1]
    padded = F.pad(waveform, (0, max(0, window - length)))
    firsts = starts(length, window, window - overlap)
    return torch.stack([padded[..., i : i + window] for i in firsts], -2)


def join(pieces: Iterable[Tensor], length: int, overlap: int) -> Tensor:
    """Puts windows together again with cosine cross-fades that sum to one.

    Arguments
    ---------
    pieces : iterable of Tensor
        Windows [W, ..., window] of what ``split`` gave or was turned into; from a
        generator, one at a time is held.
    length : int
        Samples N of the clip.
    overlap : int
        As given to ``split``.

    Returns
    -------
    Tensor
        Samples [..., N]; ``join(split(x, w, o), len(x), o)`` is x. ValueError where
        there are more or fewer windows than such a clip has.

    Example
    -------
    >>> x = torch.randn(1000)
    >>> y = join(split(x, window=300, overlap=60), length=1000, overlap=60)
    >>> bool((x - y).abs().max() < 1e-6)
    True
    """
    firsts: list[int] = []
    joined, count = torch.empty(0), 0
    for count, piece in enumerate(pieces, start=1):
        window = piece.shape[-1]
        if count == 1:
            firsts = starts(length, window, window - overlap)
            joined = piece.new_zeros(*piece.shape[:-1], max(length, window))
        if count <= len(firsts):
            start = firsts[count - 1]
            share = _share(firsts, count - 1, window, overlap).to(piece)
            joined[..., start : start + window] += share * piece
    if count != len(firsts) or not count:
        raise ValueError(f"{count} windows, but {length} samples have {len(firsts)}")
    return joined[..., :length]


def _share(firsts, index, window, overlap):
    """What one window has in each of its samples [window]; over all windows, 1."""
    total = torch.zeros(window, dtype=torch.float64)
    near = window // (window - overlap) + 1  # the last may reach over one more
    # Two ramps sum to one already; more than two windows share a sample where the last
    # was moved back, hence the division.
    for other in range(max(0, index - near), min(index + near + 1, len(firsts))):
        shift = firsts[other] - firsts[index]
        if abs(shift) < window:
            own = slice(max(0, shift), window + min(0, shift))
            its = slice(max(0, -shift), window - max(0, shift))
            total[own] += _ramps(firsts, other, window, overlap)[its]
    return _ramps(firsts, index, window, overlap) / total


def _ramps(firsts, index, window, overlap):
    """Weights of one window [window] before they are made to sum to one."""
    weight = torch.ones(window, dtype=torch.float64)
    # Half a sample off the ends keeps every weight above zero.
    phase = (torch.arange(overlap, dtype=torch.float64) + 0.5) / max(1, overlap)
    rise = torch.sin(phase * math.pi / 2).square()
    if index > 0:
        weight[:overlap] *= rise
    if index < len(firsts) - 1:
        weight[window - overlap :] *= rise.flip(0)
    return weight
