"""What synthesised sounds are made of: noise, slow curves, struck bodies, a room."""

import numpy as np


class Studio:
    """A recording to be filled, and the means to do so.

    Arguments
    ---------
    rng : numpy.random.Generator
        Where everything random comes from, in the order of the calls.
    seconds : float
        Length of the recording.
    rate : int
        Sample rate in Hz.

    Example
    -------
    >>> studio = Studio(np.random.default_rng(0), seconds=0.5, rate=16000)
    >>> wind = studio.wander(0.8) * studio.noise(40, 500, slope=0.9)
    >>> wind.shape == studio.silence().shape == (8000,)
    True
    """

    def __init__(self, rng, seconds, rate):
        self.rng, self.seconds, self.rate = rng, seconds, rate
        self.n = int(seconds * rate)
        self.t = np.arange(self.n) / rate

    def silence(self):
        """Nothing yet [n]."""
        return np.zeros(self.n)

    def noise(self, low, high, slope=0.0, n=None):
        """Gaussian noise of unit level between two frequencies, falling as f**-slope.

        It fills the recording unless ``n`` samples are asked for.
        """
        n = self.n if n is None else n
        frequency = np.fft.rfftfreq(n, 1 / self.rate)
        below = (frequency / low) ** 4
        band = below / (1 + below) / (1 + (frequency / high) ** 4)
        spectrum = np.fft.rfft(self.rng.standard_normal(n)) * band
        x = np.fft.irfft(spectrum * np.maximum(frequency, low) ** -slope, n)
        return x / (x.std() + 1e-12)

    def wander(self, hertz, low=0.0, high=1.0):
        """A smooth random curve between two values, about ``hertz`` turns a second."""
        points = self.rng.uniform(low, high, int(self.n / self.rate * hertz) + 3)
        position = np.arange(self.n) * (len(points) - 2) / self.n
        left = position.astype(int)
        blend = 0.5 - 0.5 * np.cos(np.pi * (position - left))
        return points[left] * (1 - blend) + points[left + 1] * blend

    def tone(self, frequency, harmonics, tilt):
        """Harmonics of a gliding pitch in Hz [N]; the k-th has amplitude k**-tilt."""
        phase = 2 * np.pi * np.cumsum(frequency) / self.rate
        x = np.zeros(len(frequency))
        for k in range(1, harmonics + 1):
            x += k**-tilt * np.sin(k * phase) * (k * frequency < 0.45 * self.rate)
        return x

    def struck(self, seconds, frequencies, amplitudes, decays, attack=0.001):
        """Resonances [K] that are struck at once; ``decays`` are seconds to 1/e."""
        t = np.arange(int(seconds * self.rate)) / self.rate
        x = np.zeros(len(t))
        for f, a, d in zip(frequencies, amplitudes, decays, strict=True):
            if f < 0.45 * self.rate:
                x += a * np.exp(-t / d) * np.sin(2 * np.pi * f * t)
        return x * np.minimum(1, t / attack)

    def thud(self, low, high, decay, slope=0.0):
        """A short burst of noise, as of two bodies that meet; ``decay`` to 1/e."""
        n = int(8 * decay * self.rate)
        t = np.arange(n) / self.rate
        return self.noise(low, high, slope, n) * np.exp(-t / decay)

    def bursts(self, per_second, irregular=0.0):
        """Start samples of events that repeat with a given irregularity (0 to 1)."""
        gap, at = 1 / per_second, self.rng.uniform(0, 0.5 / per_second)
        starts = []
        while at < self.seconds:
            starts.append(int(at * self.rate))
            at += gap * (1 + irregular * self.rng.uniform(-1, 1))
        return starts

    def room(self, x, decay, wet):
        """A room with echoes: ``decay`` in seconds to 1/e, ``wet`` is their share."""
        n = int(4 * decay * self.rate)
        echoes = self.rng.standard_normal(n)
        echoes *= np.exp(-np.arange(n) / (decay * self.rate))
        echoes /= np.sqrt((echoes**2).sum())
        size = len(x) + n
        tail = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(echoes, size), size)
        return x + wet * tail[: len(x)]


def add(x, sound, at):
    """Adds a sound to another in place; what is past the end is lost.

    Arguments
    ---------
    x : numpy.ndarray
        Samples [N], which are changed.
    sound : numpy.ndarray
        Samples [M].
    at : int
        Where in ``x`` the sound begins.

    Example
    -------
    >>> x = np.zeros(3)
    >>> add(x, np.ones(2), at=2)
    >>> x
    array([0., 0., 1.])
    """
    part = sound[: max(0, len(x) - at)]
    x[at : at + len(part)] += part
