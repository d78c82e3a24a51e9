"""Windows over a clip that is longer than what a classifier was trained to hear."""

import torch
import torch.nn.functional as F

from speechbrain_lmac import audio

OVERLAP = 0.2  # of neighbouring windows


class Windows:
    """The windows in which a classifier hears a clip.

    They start on frames of the clip's STFT, so that the mask of a window is a part of a
    mask of the clip. A shorter clip is padded with silence to one window.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Says how long a window is; one without that hears any clip in one.
    length : int
        Samples of the clip.

    Example
    -------
    >>> from speechbrain_lmac.testing import random_classifier
    >>> windows = Windows(random_classifier(), length=7 * 16000)
    >>> pieces = windows.cut(torch.randn(7 * 16000))
    >>> pieces.shape
    torch.Size([2, 80000])
    >>> windows.join([torch.rand(2, 3, 513, 251)]).shape
    torch.Size([3, 513, 351])
    """

    def __init__(self, classifier, length):
        hop, seconds = classifier.stft.hop_length, classifier.window_seconds
        whole = -(-length // hop)  # in frames, as all of the following
        window = int(seconds * classifier.sample_rate) // hop if seconds else whole
        if classifier.repeats_short_clips:
            window = min(window, whole)
        overlap = int(OVERLAP * window)
        self._samples = (max(whole, window) * hop, window * hop, overlap * hop)
        # n hops have n + 1 frames, since the first is centred on the first sample
        self.total, self.frames = max(whole, window) + 1, window + 1
        self.overlap = overlap + 1
        self.starts = audio.windows(self.total, self.frames, window - overlap)

    def cut(self, waveform):
        """Samples [N] to windows [W, window]; silence fills up the last frame."""
        total, window, overlap = self._samples
        return audio.split(F.pad(waveform, (0, total - len(waveform))), window, overlap)

    def join(self, masks):
        """Masks of batches of windows, [w, P, F, T'] each, to one mask [P, F, T]."""
        return audio.join(torch.cat(masks), self.total, self.overlap)
