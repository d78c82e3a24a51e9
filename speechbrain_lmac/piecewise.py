"""What is done with a clip of any length, a bounded piece of it at a time.

Beside what is returned, which lies on the CPU, nothing grows with the clip: windows are
cut when they are heard, masks are cross-faded into the result as they come, embeddings
are running sums, and spectrograms exist for one piece alone. Only a classifier that was
trained on clips of any length (``window_seconds`` of None) hears the whole at once.
"""

import torch
import torch.nn.functional as F

from speechbrain_lmac.explainers.base import hear as hear_scene
from speechbrain_lmac.explainers.base import hear_masked as embed
from speechbrain_lmac.windows import Windows

BATCH = 8  # spectrograms that are encoded together
BLOCK = 1000  # frames that are played back together


def hear(classifier, waveforms):
    """How a classifier hears clips: the mean over their windows.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    waveforms : torch.Tensor
        Samples of K clips [K, N].

    Returns
    -------
    torch.Tensor
        Unit vectors [K, D].

    Example
    -------
    >>> from speechbrain_lmac.testing import random_classifier
    >>> hear(random_classifier(), torch.randn(2, 12 * 16000)).shape
    torch.Size([2, 32])
    """
    windows, total = Windows(classifier, waveforms.shape[-1]), 0
    for batch in windows.batches(_windows_at_once(waveforms)):
        pieces = windows.cut(waveforms, batch).to(classifier.device)  # K x W x window
        magnitude = classifier.stft(pieces).abs()
        total = total + embed(classifier, magnitude, "stft", BATCH).sum(1)
    return F.normalize(total, dim=-1)


def explain(classifier, explainer, waveform, text):
    """How a classifier hears a clip, and its masks for some prompts.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    explainer : Explainer
        Gives the masks of windows.
    waveform : torch.Tensor
        Samples [N].
    text : torch.Tensor
        Unit vectors of the prompts [P, D].

    Returns
    -------
    tuple of torch.Tensor
        The unit vector [D], and masks [P, F, T] on the grid of the STFT; T is that of
        one window at least.
    """
    windows = Windows(classifier, len(waveform))
    total = torch.zeros_like(text[0])

    def masks():
        """Masks of the windows, in their order."""
        for batch in windows.batches(_windows_at_once(text)):
            pieces = windows.cut(waveform, batch).to(classifier.device)
            scene = hear_scene(classifier, classifier.stft(pieces).abs())
            total.add_(scene.encoding.embedding.sum(0))
            yield from explainer(scene, text).cpu()  # P x F x T' each

    mask = windows.join(masks())
    return F.normalize(total, dim=-1), mask


def hear_masked(classifier, masking, waveform, mask):
    """How a classifier hears what masks keep of a clip's spectrogram, and the rest.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    masking : Masking
        Of STFT magnitudes.
    waveform : torch.Tensor
        Samples [N].
    mask : torch.Tensor
        From :func:`explain` [P, F, T].

    Returns
    -------
    list of torch.Tensor
        Unit vectors of what is kept [P, D] and of what is removed [P, D].
    """
    windows, kept, removed = Windows(classifier, len(waveform)), 0, 0
    for batch in windows.batches(_windows_at_once(mask)):
        pieces = windows.cut(waveform, batch).to(classifier.device)
        magnitude = classifier.stft(pieces).abs().unsqueeze(1)  # W x 1 x F x T'
        part = windows.of(mask, batch).to(classifier.device)  # W x P x F x T'
        keep, remove = masking.keep(part, magnitude), masking.remove(part, magnitude)
        kept = kept + embed(classifier, keep, "stft", BATCH).sum(0)
        removed = removed + embed(classifier, remove, "stft", BATCH).sum(0)
    return [F.normalize(total, dim=-1) for total in (kept, removed)]


def play(stft, masking, waveform, mask):
    """The sound of what masks keep of a clip, and of the rest.

    Each block of frames is transformed with a margin on both sides, which is then cut,
    so that all is what the spectrogram of the whole clip would give.

    Arguments
    ---------
    stft : STFT
        The classifier's.
    masking : Masking
        Of STFT magnitudes.
    waveform : torch.Tensor
        Samples [N].
    mask : torch.Tensor
        In [0, 1], [P, F, T] with T no less than ``ceil(N / hop) + 1``.

    Returns
    -------
    tuple of torch.Tensor
        Waveforms of what is kept [P, N] and removed [P, N], magnitudes of the clip
        [F, ceil(N / hop) + 1].

    Example
    -------
    >>> from speechbrain_lmac.masking import Masking
    >>> from speechbrain_lmac.spectrogram import STFT
    >>> stft, clip = STFT(16000), torch.randn(50001)
    >>> mask = torch.ones(1, 513, 158)
    >>> kept, removed, magnitude = play(stft, Masking(stft.full_scale), clip, mask)
    >>> bool((kept[0] - clip).abs().max() < 1e-5), magnitude.shape
    (True, torch.Size([513, 158]))
    """
    hop, length, device = stft.hop_length, len(waveform), stft.window.device
    margin = 2 * -(-stft.n_fft // hop)
    # Frames up to the end of the clip: were it not filled up to a whole frame, its last
    # samples would lie under the tail of a window, which magnifies errors.
    frames = -(-length // hop) + 1
    magnitude = torch.empty(stft.bins, frames)
    kept, removed = (torch.empty(len(mask), length) for _ in range(2))
    for start in range(0, frames, BLOCK):
        stop = min(start + BLOCK, frames)
        first, last = max(0, start - margin), min(stop + margin, frames - 1)
        samples = (last - first) * hop
        piece = waveform[first * hop : last * hop].to(device)
        spectrum = stft(F.pad(piece, (0, samples - len(piece))))
        x = spectrum.abs()
        magnitude[:, start:stop] = x[:, start - first : stop - first]
        begin, end = start * hop, min(stop * hop, length)
        for k, part in enumerate(mask[..., first : last + 1]):
            part = part.to(device)
            for sounds, act in ((kept, masking.keep), (removed, masking.remove)):
                sound = stft.playback(act(part, x), spectrum, samples)
                sounds[k, begin:end] = sound[begin - first * hop : end - first * hop]
    return kept, removed, magnitude


def _windows_at_once(prompts):
    """How many windows to take together, for as many prompts as there are rows."""
    return max(1, BATCH // len(prompts))
