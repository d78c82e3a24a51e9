"""Weather, water, fire and animals from first principles, with random parameters.

Each function takes a :class:`~speechbrain_lmac.data.studio.Studio` and its generator
and returns the samples of a clip at any level.
"""

import numpy as np

from speechbrain_lmac.data.studio import add


def _rain(studio, rng):
    """A dense hiss and hundreds of single drops."""
    drops = studio.silence()
    for at in rng.integers(0, studio.n, int(rng.uniform(140, 260) * studio.seconds)):
        add(drops, rng.exponential() * studio.thud(1500, 7500, 0.0007), at)
    hiss = studio.noise(100, 7500, slope=rng.uniform(0.25, 0.4))
    return hiss * studio.wander(2, 0.9, 1) + drops


def _sea_waves(studio, rng):
    """Noise that swells, breaks and runs out, every few seconds."""
    x = 0.03 * studio.noise(80, 4000, slope=0.5)
    gap = int(rng.uniform(2.1, 2.8) * studio.rate)
    for at in range(int(-rng.uniform(1, 3) * studio.rate), studio.n, gap):
        t = (np.arange(studio.n) - at) / studio.rate
        rise, fall = rng.uniform(0.45, 0.8), rng.uniform(0.65, 1.1)
        swell = np.exp(np.where(t < rise, (t / rise - 1) / 0.7, (rise - t) / fall))
        x += 1.2 * swell * studio.noise(40, 1300, slope=0.3)
        x += swell**1.6 * studio.noise(300, 6000, slope=0.23)
    return x


def _wind(studio, rng):
    """Gusts: low rumble and a howl whose pitch wanders with the strength."""
    gust = studio.wander(0.8, 0.25, 1)
    x = gust * studio.noise(40, 500, slope=0.9)
    for _ in range(2):
        pitch = rng.uniform(250, 500) * (0.7 + gust * rng.uniform(0.5, 0.9))
        narrow = studio.noise(1, 25)
        narrow *= np.cos(2 * np.pi * np.cumsum(pitch) / studio.rate)
        x += 0.5 * gust**2 * narrow
    return x + 0.1 * gust * studio.noise(400, 3000, slope=0.6)


def _thunderstorm(studio, rng):
    """Two claps that roll away, over distant rain."""
    x = rng.uniform(0.01, 0.03) * studio.noise(400, 7000, slope=0.3)
    for start in (rng.uniform(-0.5, 0.8), rng.uniform(1.5, 3.5)):
        t = np.maximum(studio.t - start, 0)
        rise = np.minimum(1, t / 0.01)
        fade = rise * np.exp(-t / rng.uniform(1.4, 2.4))
        roll = studio.wander(15, 0.2, 1)
        x += fade * roll * studio.noise(70, 500, slope=0.4)
        crack = rise * np.exp(-t / 0.35) * studio.wander(25)
        x += rng.uniform(0.5, 0.9) * crack * studio.noise(90, 1500, slope=0.6)
    return x


def _chirping_birds(studio, rng):
    """Two or three birds, each with a song of fast whistled sweeps."""
    x = 0.01 * studio.noise(100, 4000, slope=0.6)
    for _ in range(rng.integers(2, 4)):
        level, centre = rng.uniform(0.3, 1), rng.uniform(3000, 4300)
        at = rng.uniform(0, 0.8)
        while at < studio.seconds:
            span, rise = rng.uniform(0.05, 0.15), rng.uniform(-0.2, 0.2)
            pause, pitch = rng.uniform(0.02, 0.09), centre * rng.uniform(0.8, 1.2)
            for _ in range(rng.integers(1, 6)):  # a motif repeats one syllable
                t = np.linspace(0, 1, int(span * studio.rate))
                bend = pitch * (1 + rise * (t - 0.5) + 0.14 * np.sin(2 * np.pi * t))
                note = studio.tone(np.minimum(bend, 0.44 * studio.rate), 2, tilt=3.7)
                add(x, level * np.sin(np.pi * t) * note, int(at * studio.rate))
                at += span + pause
            at += rng.uniform(0.3, 1.1)
    return studio.room(x, decay=0.1, wet=0.5)


def _crickets(studio, rng):
    """Four to seven crickets: trains of short pulses at 5 to 6.5 kHz."""
    t = studio.t
    x = 0.1 * studio.noise(4000, 6500) + 0.02 * studio.noise(50, 7000)
    for _ in range(rng.integers(4, 8)):
        pitch, pulses = rng.uniform(5300, 6500), rng.integers(3, 30)
        cycle, pulse = rng.uniform(0.25, 0.45), rng.uniform(0.028, 0.042)
        position = (t + rng.uniform(0, cycle)) % cycle
        shape = np.sin(np.pi * (position % pulse) / pulse) ** 2
        shape *= position < pulses * pulse
        x += rng.uniform(0.3, 1) * shape * np.sin(2 * np.pi * pitch * t)
    return x


def _crackling_fire(studio, rng):
    """Snaps of all sizes, now more and now fewer, over a soft roar."""
    roar = studio.wander(6, 0.4, 1)
    x = 0.05 * roar * studio.noise(40, 600, slope=0.6)
    x += 0.02 * studio.wander(8) * studio.noise(800, 6400)
    chance = np.cumsum(studio.wander(2, 0.02, 1))
    count = int(rng.uniform(23, 45) * studio.seconds)
    for at in np.searchsorted(chance, chance[-1] * rng.uniform(size=count)):
        low, decay = 1200 * 2 ** rng.uniform(-1, 1), rng.uniform(0.0003, 0.003)
        size = min(20, rng.pareto(1.5))
        add(x, 0.2 * size * studio.thud(low, 7500, decay), at)
    return np.tanh(x)


# Classes of ESC-50 in natural words, each with a second caption in other words.
NATURE = {
    "chirping birds": (_chirping_birds, "birds are singing"),
    "crackling fire": (_crackling_fire, "a fire crackles"),
    "crickets": (_crickets, "crickets chirp in the night"),
    "rain": (_rain, "it is raining heavily"),
    "sea waves": (_sea_waves, "waves break on the shore"),
    "thunderstorm": (_thunderstorm, "thunder rolls"),
    "wind": (_wind, "the wind howls"),
}
