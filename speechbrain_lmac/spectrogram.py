"""Waveform to spectrogram and back, and the mel scale of a spectrogram."""

import torch
import torch.nn as nn


class STFT(nn.Module):
    """Short-time Fourier transform whose inverse returns exactly the N samples.

    Arguments
    ---------
    sample_rate : int
        In Hz.
    n_fft : int
        Length of the transform and of its Hann window, in samples.
    hop_length : int
        Samples from one frame to the next.

    Example
    -------
    >>> stft = STFT(sample_rate=16000, n_fft=1024, hop_length=320)
    >>> waveform = torch.randn(2, 5001)
    >>> spectrum = stft(waveform)
    >>> spectrum.shape
    torch.Size([2, 513, 16])
    >>> bool((stft.inverse(spectrum, 5001) - waveform).abs().max() < 1e-5)
    True
    """

    def __init__(self, sample_rate, n_fft=1024, hop_length=320):
        super().__init__()
        self.sample_rate, self.n_fft, self.hop_length = sample_rate, n_fft, hop_length
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    @property
    def bins(self):
        """Number of linear frequency bins F."""
        return self.n_fft // 2 + 1

    @property
    def full_scale(self):
        """Magnitude of a sine of amplitude 1 at its bin: half the window's sum."""
        return self.n_fft / 4

    def forward(self, waveform):
        """Waveforms to complex spectrograms of T = N // hop + 1 frames.

        Arguments
        ---------
        waveform : torch.Tensor
            [..., N].

        Returns
        -------
        torch.Tensor
            [..., F, T].
        """
        # a clip shorter than half a window cannot be reflected: extend it by silence
        pad = "reflect" if waveform.shape[-1] > self.n_fft // 2 else "constant"
        spectrum = torch.stft(
            waveform.reshape(-1, waveform.shape[-1]),
            self.n_fft,
            self.hop_length,
            window=self.window,
            pad_mode=pad,
            return_complex=True,
        )
        return spectrum.reshape(*waveform.shape[:-1], *spectrum.shape[-2:])

    def inverse(self, spectrum, length):
        """Complex spectrogram to waveform.

        Arguments
        ---------
        spectrum : torch.Tensor
            Complex [..., F, T].
        length : int
            Samples to return; those of the clip that was transformed.

        Returns
        -------
        torch.Tensor
            Waveform [..., length].
        """
        waveform = torch.istft(
            spectrum.reshape(-1, *spectrum.shape[-2:]),
            self.n_fft,
            self.hop_length,
            window=self.window,
            length=length,
        )
        return waveform.reshape(*spectrum.shape[:-2], length)

    def playback(self, magnitude, spectrum, length):
        """A masked magnitude with the phase of the clip it came from.

        Arguments
        ---------
        magnitude : torch.Tensor
            Masked magnitudes [..., F, T].
        spectrum : torch.Tensor
            Complex spectrogram of the clip, of a shape that broadcasts.
        length : int
            Samples to return.

        Returns
        -------
        torch.Tensor
            Waveform [..., length].
        """
        phase = torch.sgn(spectrum)
        return self.inverse(magnitude * phase, length)

    def played(self, magnitude, spectrum, length):
        """The magnitudes that :meth:`playback` has.

        Frames overlap, so a masked spectrogram is in general no sound's (D. Griffin and
        J. Lim, 1984): neighbours that the mask treats differently level out.

        Arguments
        ---------
        magnitude : torch.Tensor
            Masked magnitudes [..., F, T].
        spectrum : torch.Tensor
            Complex spectrogram of the clip, of a shape that broadcasts.
        length : int
            Samples of the clip.

        Returns
        -------
        torch.Tensor
            [..., F, T].

        Example
        -------
        >>> stft = STFT(sample_rate=16000)
        >>> spectrum = stft(torch.randn(1, 5000))
        >>> every_other = torch.tensor([1.0, 0.0]).repeat(8)
        >>> masked = every_other * spectrum.abs()
        >>> played = stft.played(masked, spectrum, 5000)
        >>> bool(played[..., 1].mean() > 0.2 * played[..., 0].mean())
        True
        >>> again = stft.played(spectrum.abs(), spectrum, 5000)
        >>> torch.allclose(again, spectrum.abs(), atol=1e-3)
        True
        """
        return self(self.playback(magnitude, spectrum, length)).abs()


def mel_matrix(sample_rate, n_fft, n_mels, f_min, f_max):
    """Slaney's mel filters with Slaney's area normalisation, [F, n_mels].

    Arguments
    ---------
    sample_rate : int
        In Hz.
    n_fft : int
        Length of the transform.
    n_mels : int
        Number of bands.
    f_min : float
        Lowest frequency in Hz.
    f_max : float
        Highest frequency in Hz.

    Returns
    -------
    torch.Tensor
        Filters; ``power [..., F, T]`` becomes bands by ``einsum("...ft,fm->...mt")``.

    Example
    -------
    >>> mel_matrix(16000, 1024, 64, 50, 8000).shape
    torch.Size([513, 64])
    """
    from torchaudio.functional import melscale_fbanks

    return melscale_fbanks(
        n_fft // 2 + 1,
        f_min,
        f_max,
        n_mels,
        sample_rate,
        norm="slaney",
        mel_scale="slaney",
    )


def band_interpolation(filters):
    """Weights that carry values on mel bands over to linear bins.

    A bin lies between the centre frequencies of two bands and takes their values
    linearly; beyond the outermost centres it takes the nearest.

    Arguments
    ---------
    filters : torch.Tensor
        Mel matrix [F, M].

    Returns
    -------
    torch.Tensor
        Weights [F, M], each row summing to one.
    """
    bins = torch.arange(filters.shape[0], dtype=filters.dtype)
    centre = (filters * bins[:, None]).sum(0) / filters.sum(0)
    upper = torch.searchsorted(centre, bins).clamp(1, len(centre) - 1)
    lower = upper - 1
    share = ((bins - centre[lower]) / (centre[upper] - centre[lower])).clamp(0, 1)
    weights = torch.zeros_like(filters)
    rows = torch.arange(len(bins))
    weights[rows, lower] = 1 - share
    weights[rows, upper] = share
    return weights
