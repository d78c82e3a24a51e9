"""Everyday sounds from first principles, with random parameters.

Each function of ``SOUNDS`` takes a NumPy generator, a length in seconds and a sample
rate in Hz, and returns the samples [seconds * sample_rate] at any level. What they
share: coloured noise, slowly wandering curves, struck resonances and a room.
"""

import numpy as np


def _noise(rng, n, rate, low, high, slope=0.0):
    """Gaussian noise of unit level between two frequencies, falling as f**-slope."""
    frequency = np.fft.rfftfreq(n, 1 / rate)
    below = (frequency / low) ** 4
    band = below / (1 + below) / (1 + (frequency / high) ** 4)
    spectrum = np.fft.rfft(rng.standard_normal(n)) * band
    x = np.fft.irfft(spectrum * np.maximum(frequency, low) ** -slope, n)
    return x / (x.std() + 1e-12)


def _wander(rng, n, rate, hertz, low=0.0, high=1.0):
    """A smooth random curve between two values with about ``hertz`` turns a second."""
    points = rng.uniform(low, high, int(n / rate * hertz) + 3)
    position = np.arange(n) * (len(points) - 2) / n
    left = position.astype(int)
    blend = 0.5 - 0.5 * np.cos(np.pi * (position - left))
    return points[left] * (1 - blend) + points[left + 1] * blend


def _struck(rate, seconds, frequencies, amplitudes, decays, attack=0.001):
    """Resonances [K] that are struck at once; ``decays`` are seconds to 1/e."""
    t = np.arange(int(seconds * rate)) / rate
    x = np.zeros(len(t))
    for f, a, d in zip(frequencies, amplitudes, decays, strict=True):
        if f < 0.45 * rate:
            x += a * np.exp(-t / d) * np.sin(2 * np.pi * f * t)
    return x * np.minimum(1, t / attack)


def _thud(rng, rate, low, high, decay, slope=0.0):
    """A short burst of noise, as of two bodies that meet; ``decay`` to 1/e."""
    n = int(8 * decay * rate)
    t = np.arange(n) / rate
    return _noise(rng, n, rate, low, high, slope) * np.exp(-t / decay)


def _tone(frequency, rate, harmonics, tilt):
    """Harmonics of a gliding pitch in Hz [N]; the k-th has amplitude k**-tilt."""
    phase = 2 * np.pi * np.cumsum(frequency) / rate
    x = np.zeros(len(frequency))
    for k in range(1, harmonics + 1):
        x += k**-tilt * np.sin(k * phase) * (k * frequency < 0.45 * rate)
    return x


def _add(x, sound, at):
    """Adds a sound in place from sample ``at``; what is past the end is lost."""
    part = sound[: max(0, len(x) - at)]
    x[at : at + len(part)] += part


def _room(rng, x, rate, decay, wet):
    """A reverberant room: ``decay`` in seconds to 1/e, ``wet`` the echoes' share."""
    n = int(4 * decay * rate)
    echoes = rng.standard_normal(n) * np.exp(-np.arange(n) / (decay * rate))
    echoes /= np.sqrt((echoes**2).sum())
    size = len(x) + n
    tail = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(echoes, size), size)
    return x + wet * tail[: len(x)]


def _bursts(rng, rate, seconds, per_second, irregular=0.0):
    """Start samples of events that repeat with a given irregularity (0 to 1)."""
    gap, at, starts = 1 / per_second, rng.uniform(0, 0.5 / per_second), []
    while at < seconds:
        starts.append(int(at * rate))
        at += gap * (1 + irregular * rng.uniform(-1, 1))
    return starts


def _siren(rng, seconds, rate):
    """A horn whose pitch wails slowly or yelps fast, in a street."""
    n = int(seconds * rate)
    if rng.uniform() < 0.7:
        period, low, ratio, shape = rng.uniform(2.5, 5), 600, 2.6, 0.73
    else:
        period, low, ratio, shape = rng.uniform(0.33, 0.46), 710, 1.75, 0.6
    phase = np.arange(n) / rate / period + rng.uniform()
    sweep = (0.5 - 0.5 * np.cos(2 * np.pi * phase)) ** shape
    pitch = low * rng.uniform(0.85, 1.2) * (ratio * rng.uniform(0.9, 1.1)) ** sweep
    x = _tone(pitch, rate, harmonics=9, tilt=rng.uniform(1.3, 1.6))
    x = _room(rng, x, rate, decay=0.16, wet=1.2) * _wander(rng, n, rate, 0.5, 0.6, 1)
    return x + rng.uniform(0.03, 0.1) * _noise(rng, n, rate, 50, 2000, slope=0.8)


def _church_bells(rng, seconds, rate):
    """One to three bells with a bell's own inharmonic partials, struck in turn."""
    x = np.zeros(int(seconds * rate))
    ratios = np.array([0.5, 1, 1.19, 1.5, 2, 2.51, 2.66, 3.01, 4.17, 5.43, 6.8, 8.2])
    amplitudes = np.array([0.4, 0.6, 0.8, 0.3, 1, 0.6, 0.5, 0.7, 0.6, 0.4, 0.3, 0.2])
    decays = rng.uniform(2.5, 4) / (0.4 + 0.5 * ratios)
    base = rng.uniform(350, 650)
    bells = base * np.array([1, 9 / 8, 4 / 3])[: rng.integers(1, 4)]
    strikes = _bursts(rng, rate, seconds, rng.uniform(0.8, 2), irregular=0.1)
    for index, at in enumerate(strikes):
        detuned = bells[index % len(bells)] * ratios * rng.normal(1, 0.001, 12)
        level = rng.uniform(0.6, 1)
        for beat in (1, 1.002):  # no bell is round: each partial beats
            _add(x, level * _struck(rate, 5, detuned * beat, amplitudes, decays), at)
        _add(x, level * _thud(rng, rate, 800, 6000, 0.01), at)
    x = _room(rng, x, rate, decay=0.6, wet=0.6)
    return x + 0.08 * _noise(rng, len(x), rate, 80, 3000, slope=0.7)


def _rain(rng, seconds, rate):
    """A dense hiss and hundreds of single drops."""
    n = int(seconds * rate)
    drops = np.zeros(n)
    for at in rng.integers(0, n, int(rng.uniform(140, 260) * seconds)):
        _add(drops, rng.exponential() * _thud(rng, rate, 1500, 7500, 0.0007), at)
    hiss = _noise(rng, n, rate, 100, 7500, slope=rng.uniform(0.25, 0.4))
    return hiss * _wander(rng, n, rate, 2, 0.9, 1) + drops


def _sea_waves(rng, seconds, rate):
    """Noise that swells, breaks and runs out, every few seconds."""
    n = int(seconds * rate)
    x = 0.03 * _noise(rng, n, rate, 80, 4000, slope=0.5)
    gap = int(rng.uniform(2.1, 2.8) * rate)
    for at in range(int(-rng.uniform(1, 3) * rate), n, gap):
        t = (np.arange(n) - at) / rate
        rise, fall = rng.uniform(0.45, 0.8), rng.uniform(0.65, 1.1)
        swell = np.exp(np.where(t < rise, (t / rise - 1) / 0.7, (rise - t) / fall))
        x += 1.2 * swell * _noise(rng, n, rate, 40, 1300, slope=0.3)
        x += swell**1.6 * _noise(rng, n, rate, 300, 6000, slope=0.23)
    return x


def _wind(rng, seconds, rate):
    """Gusts: low rumble and a howl whose pitch wanders with the strength."""
    n = int(seconds * rate)
    gust = _wander(rng, n, rate, 0.8, 0.25, 1)
    x = gust * _noise(rng, n, rate, 40, 500, slope=0.9)
    for _ in range(2):
        pitch = rng.uniform(250, 500) * (0.7 + gust * rng.uniform(0.5, 0.9))
        narrow = _noise(rng, n, rate, 1, 25) * np.cos(
            2 * np.pi * np.cumsum(pitch) / rate
        )
        x += 0.5 * gust**2 * narrow
    return x + 0.1 * gust * _noise(rng, n, rate, 400, 3000, slope=0.6)


def _thunderstorm(rng, seconds, rate):
    """Two claps that roll away, over distant rain."""
    n = int(seconds * rate)
    x = rng.uniform(0.01, 0.03) * _noise(rng, n, rate, 400, 7000, slope=0.3)
    for start in (rng.uniform(-0.5, 0.8), rng.uniform(1.5, 3.5)):
        t = np.maximum(np.arange(n) / rate - start, 0)
        rise = np.minimum(1, t / 0.01)
        fade = rise * np.exp(-t / rng.uniform(1.4, 2.4))
        roll = _wander(rng, n, rate, 15, 0.2, 1)
        x += fade * roll * _noise(rng, n, rate, 70, 500, slope=0.4)
        crack = rise * np.exp(-t / 0.35) * _wander(rng, n, rate, 25)
        x += rng.uniform(0.5, 0.9) * crack * _noise(rng, n, rate, 90, 1500, slope=0.6)
    return x


def _helicopter(rng, seconds, rate):
    """Rotor blades that slap the air 11 to 16 times a second.

    Beside the thump and the rush of each blade there are the buzz of the tail rotor,
    which turns several times as fast, and the whine of the turbine.
    """
    n = int(seconds * rate)
    blades = rng.uniform(11.5, 15.5) * _wander(rng, n, rate, 0.5, 0.99, 1.01)
    within = (np.cumsum(blades) / rate + rng.uniform()) % 1
    slap = np.minimum(1, within / 0.08) * np.exp(-within / 0.25)
    thump = slap * np.sin(2 * np.pi * rng.uniform(50, 90) * within / blades)
    x = 0.36 * thump / thump.std()
    rush = 0.3 + slap
    x += 0.4 * rush / rush.std() * _noise(rng, n, rate, 40, 640)
    x += 0.45 * rush * _noise(rng, n, rate, 300, 7000, slope=0.55)
    buzz = _tone(blades * rng.choice([5, 6]), rate, harmonics=12, tilt=0.8)
    x += 0.95 * buzz / buzz.std() * _wander(rng, n, rate, 2, 0.6, 1)
    whine = rng.uniform(1500, 3000) * _wander(rng, n, rate, 0.5, 0.995, 1.005)
    x += 0.1 * _tone(whine, rate, harmonics=2, tilt=1)
    return x * _wander(rng, n, rate, 0.5, 0.55, 1)


def _vacuum_cleaner(rng, seconds, rate):
    """A rush of air, the hum of a motor and the whine of its fan."""
    n = int(seconds * rate)
    x = _noise(rng, n, rate, 480, 4200, slope=0.7)
    resonance = rng.uniform(250, 390)
    x += 0.3 * _noise(rng, n, rate, resonance / 1.06, resonance * 1.06)
    turns = _wander(rng, n, rate, 2, 0.995, 1.005)
    for level, low, high, harmonics, tilt in (
        (0.8, 300, 420, 20, 1.5),
        (0.28, 1200, 1700, 8, 0.4),
    ):
        tone = _tone(rng.uniform(low, high) * turns, rate, harmonics, tilt)
        x += level * tone / tone.std()
    return x * _wander(rng, n, rate, 1, 0.9, 1)


def _clock_tick(rng, seconds, rate):
    """A wound clock: tick and tock, each of two close clicks in its case."""
    n = int(seconds * rate)
    x = np.zeros(n)
    modes = rng.uniform([400, 800, 1500, 2800, 4500], [800, 1500, 2800, 4500, 7000])
    amplitudes, decays = 0.78 ** np.arange(5), np.full(5, 0.009)
    gap, low = rng.uniform(0.01, 0.04), rng.uniform(700, 1500)
    tock = rng.uniform(0.6, 0.9)
    starts = _bursts(rng, rate, seconds, rng.choice([2, 4]), irregular=0.01)
    for index, at in enumerate(starts):
        for level, delay in ((0.2, 0), (1, gap)):
            click = 2 * _thud(rng, rate, low, 6000, 0.003, slope=0.2)
            case = modes * (1, tock)[index % 2]
            _add(click, _struck(rate, 0.05, case, amplitudes, decays), 0)
            _add(x, level * click, at + int(delay * rate))
    x = _room(rng, x, rate, decay=0.022, wet=0.7)
    return x + rng.uniform(0.03, 0.08) * _noise(rng, n, rate, 60, 4000, slope=0.4)


def _clock_alarm(rng, seconds, rate):
    """A digital alarm: groups of short beeps."""
    n = int(seconds * rate)
    t = np.arange(n) / rate
    count, beep = rng.choice([2, 4, 4]), rng.uniform(0.11, 0.14)
    cycle = count * beep + rng.uniform(0.35, 0.55)
    position = (t + rng.uniform(0, cycle)) % cycle
    on = (position < count * beep) & (position % beep < 0.55 * beep)
    gate = np.convolve(on, np.ones(32) / 32, mode="same")
    pitch = np.full(n, rng.uniform(1900, 2300))
    x = gate * _tone(pitch, rate, harmonics=3, tilt=rng.uniform(0.6, 1.2))
    return _room(rng, x, rate, decay=0.06, wet=0.15)


def _chirping_birds(rng, seconds, rate):
    """Two or three birds, each with a song of fast whistled sweeps."""
    n = int(seconds * rate)
    x = 0.01 * _noise(rng, n, rate, 100, 4000, slope=0.6)
    for _ in range(rng.integers(2, 4)):
        level, centre = rng.uniform(0.3, 1), rng.uniform(3000, 4300)
        at = rng.uniform(0, 0.8)
        while at < seconds:
            span, rise = rng.uniform(0.05, 0.15), rng.uniform(-0.2, 0.2)
            pause, pitch = rng.uniform(0.02, 0.09), centre * rng.uniform(0.8, 1.2)
            for _ in range(rng.integers(1, 6)):  # a motif repeats one syllable
                t = np.linspace(0, 1, int(span * rate))
                bend = pitch * (1 + rise * (t - 0.5) + 0.14 * np.sin(2 * np.pi * t))
                note = _tone(np.minimum(bend, 0.44 * rate), rate, 2, tilt=3.7)
                _add(x, level * np.sin(np.pi * t) * note, int(at * rate))
                at += span + pause
            at += rng.uniform(0.3, 1.1)
    return _room(rng, x, rate, decay=0.1, wet=0.5)


def _crickets(rng, seconds, rate):
    """Four to seven crickets: trains of short pulses at 5 to 6.5 kHz."""
    n = int(seconds * rate)
    t = np.arange(n) / rate
    x = 0.1 * _noise(rng, n, rate, 4000, 6500) + 0.02 * _noise(rng, n, rate, 50, 7000)
    for _ in range(rng.integers(4, 8)):
        pitch, pulses = rng.uniform(5300, 6500), rng.integers(3, 30)
        cycle, pulse = rng.uniform(0.25, 0.45), rng.uniform(0.028, 0.042)
        position = (t + rng.uniform(0, cycle)) % cycle
        shape = np.sin(np.pi * (position % pulse) / pulse) ** 2
        shape *= position < pulses * pulse
        x += rng.uniform(0.3, 1) * shape * np.sin(2 * np.pi * pitch * t)
    return x


def _door_wood_knock(rng, seconds, rate):
    """Knuckles on a wooden door, a few knocks at a time."""
    x = np.zeros(int(seconds * rate))
    low, high, at = rng.uniform(80, 150), rng.uniform(500, 1200), rng.uniform(0.1, 0.5)
    while at < seconds:
        for _ in range(rng.integers(3, 6)):
            knock = _thud(rng, rate, low, high, rng.uniform(0.015, 0.025), slope=0.3)
            _add(knock, 0.5 * _thud(rng, rate, 500, 4000, 0.004), 0)
            _add(x, rng.uniform(0.7, 1) * knock, int(at * rate))
            at += rng.uniform(0.13, 0.2)
        at += rng.uniform(0.7, 1.5)
    x = _room(rng, x, rate, decay=0.1, wet=0.25)
    return x + 0.003 * _noise(rng, len(x), rate, 60, 3000, slope=0.5)


def _car_horn(rng, seconds, rate):
    """Two reeds a third apart, honked once or more."""
    n = int(seconds * rate)
    t = np.arange(n) / rate
    gate, at = np.zeros(n), rng.uniform(0.1, 0.6)
    while at < seconds:
        end = at + rng.uniform(0.3, 1.5)
        gate += (t > at) & (t < end)
        at = end + rng.uniform(0.2, 1.2)
    gate = np.convolve(gate, np.ones(320) / 320, mode="same")
    base = rng.uniform(330, 430)
    x = _tone(np.full(n, base), rate, 16, tilt=0.4)
    x += _tone(np.full(n, base * rng.uniform(1.22, 1.27)), rate, 16, tilt=0.4)
    x = _room(rng, gate * x, rate, decay=0.12, wet=0.4)
    return x + rng.uniform(0.02, 0.1) * _noise(rng, n, rate, 50, 2000, slope=0.8)


def _mouse_click(rng, seconds, rate):
    """The button of a mouse, down and up, once or twice in a row, in a quiet room."""
    x = np.zeros(int(seconds * rate))
    modes = rng.uniform([2500, 3700, 5200], [3300, 4800, 7000])
    at = rng.uniform(0.1, 0.5)
    while at < seconds:
        for _ in range(rng.choice([1, 2], p=[0.7, 0.3])):
            gap = rng.uniform(0.07, 0.12)
            for level, delay, tune in ((1, 0, 1), (0.7, gap, 1.12)):
                click = 0.6 * _thud(rng, rate, 1500, 7500, 0.002)
                ring = _struck(rate, 0.016, tune * modes, [1, 0.7, 0.5], [0.0012] * 3)
                _add(click, ring, 0)
                _add(click, 0.2 * _thud(rng, rate, 200, 900, 0.005), 0)
                level *= rng.uniform(0.8, 1)
                _add(x, level * click, int((at + delay) * rate))
            at += rng.uniform(0.18, 0.28)
        at += rng.uniform(0.3, 1)
    x = _room(rng, x, rate, decay=0.03, wet=0.3)
    return x + 0.005 * _noise(rng, len(x), rate, 50, 6000, slope=0.5)


def _crackling_fire(rng, seconds, rate):
    """Snaps of all sizes, now more and now fewer, over a soft roar."""
    n = int(seconds * rate)
    roar = _wander(rng, n, rate, 6, 0.4, 1)
    x = 0.05 * roar * _noise(rng, n, rate, 40, 600, slope=0.6)
    x += 0.02 * _wander(rng, n, rate, 8) * _noise(rng, n, rate, 800, 6400)
    chance = np.cumsum(_wander(rng, n, rate, 2, 0.02, 1))
    count = int(rng.uniform(23, 45) * seconds)
    for at in np.searchsorted(chance, chance[-1] * rng.uniform(size=count)):
        low, decay = 1200 * 2 ** rng.uniform(-1, 1), rng.uniform(0.0003, 0.003)
        size = min(20, rng.pareto(1.5))
        _add(x, 0.2 * size * _thud(rng, rate, low, 7500, decay), at)
    return np.tanh(x)


# Names are classes of ESC-50 in natural words.
SOUNDS = {
    "car horn": _car_horn,
    "chirping birds": _chirping_birds,
    "church bells": _church_bells,
    "clock alarm": _clock_alarm,
    "clock tick": _clock_tick,
    "crackling fire": _crackling_fire,
    "crickets": _crickets,
    "door wood knock": _door_wood_knock,
    "helicopter": _helicopter,
    "mouse click": _mouse_click,
    "rain": _rain,
    "sea waves": _sea_waves,
    "siren": _siren,
    "thunderstorm": _thunderstorm,
    "vacuum cleaner": _vacuum_cleaner,
    "wind": _wind,
}
