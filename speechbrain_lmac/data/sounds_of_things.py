"""What people make and use, from first principles, with random parameters.

Each function takes a :class:`~speechbrain_lmac.data.studio.Studio` and its generator
and returns the samples of a clip at any level.
"""

import numpy as np

from speechbrain_lmac.data.studio import add


def _siren(studio, rng):
    """A horn whose pitch wails slowly or yelps fast, in a street."""
    if rng.uniform() < 0.7:
        period, low, ratio, shape = rng.uniform(2.5, 5), 600, 2.6, 0.73
    else:
        period, low, ratio, shape = rng.uniform(0.33, 0.46), 710, 1.75, 0.6
    phase = studio.t / period + rng.uniform()
    sweep = (0.5 - 0.5 * np.cos(2 * np.pi * phase)) ** shape
    pitch = low * rng.uniform(0.85, 1.2) * (ratio * rng.uniform(0.9, 1.1)) ** sweep
    x = studio.tone(pitch, harmonics=9, tilt=rng.uniform(1.3, 1.6))
    x = studio.room(x, decay=0.16, wet=1.2) * studio.wander(0.5, 0.6, 1)
    return x + rng.uniform(0.03, 0.1) * studio.noise(50, 2000, slope=0.8)


def _church_bells(studio, rng):
    """One to three bells with a bell's own inharmonic partials, struck in turn."""
    x = studio.silence()
    ratios = np.array([0.5, 1, 1.19, 1.5, 2, 2.51, 2.66, 3.01, 4.17, 5.43, 6.8, 8.2])
    amplitudes = np.array([0.4, 0.6, 0.8, 0.3, 1, 0.6, 0.5, 0.7, 0.6, 0.4, 0.3, 0.2])
    decays = rng.uniform(2.5, 4) / (0.4 + 0.5 * ratios)
    base = rng.uniform(350, 650)
    bells = base * np.array([1, 9 / 8, 4 / 3])[: rng.integers(1, 4)]
    strikes = studio.bursts(rng.uniform(0.8, 2), irregular=0.1)
    for index, at in enumerate(strikes):
        detuned = bells[index % len(bells)] * ratios * rng.normal(1, 0.001, 12)
        level = rng.uniform(0.6, 1)
        for beat in (1, 1.002):  # no bell is round: each partial beats
            add(x, level * studio.struck(5, detuned * beat, amplitudes, decays), at)
        add(x, level * studio.thud(800, 6000, 0.01), at)
    x = studio.room(x, decay=0.6, wet=0.6)
    return x + 0.08 * studio.noise(80, 3000, slope=0.7)


def _helicopter(studio, rng):
    """Rotor blades that slap the air 11 to 16 times a second.

    Beside the thump and the rush of each blade there are the buzz of the tail rotor,
    which turns several times as fast, and the whine of the turbine.
    """
    blades = rng.uniform(11.5, 15.5) * studio.wander(0.5, 0.99, 1.01)
    within = (np.cumsum(blades) / studio.rate + rng.uniform()) % 1
    slap = np.minimum(1, within / 0.08) * np.exp(-within / 0.25)
    thump = slap * np.sin(2 * np.pi * rng.uniform(50, 90) * within / blades)
    x = 0.36 * thump / thump.std()
    rush = 0.3 + slap
    x += 0.4 * rush / rush.std() * studio.noise(40, 640)
    x += 0.45 * rush * studio.noise(300, 7000, slope=0.55)
    buzz = studio.tone(blades * rng.choice([5, 6]), harmonics=12, tilt=0.8)
    x += 0.95 * buzz / buzz.std() * studio.wander(2, 0.6, 1)
    whine = rng.uniform(1500, 3000) * studio.wander(0.5, 0.995, 1.005)
    x += 0.1 * studio.tone(whine, harmonics=2, tilt=1)
    return x * studio.wander(0.5, 0.55, 1)


def _vacuum_cleaner(studio, rng):
    """A rush of air, the hum of a motor and the whine of its fan."""
    x = studio.noise(480, 4200, slope=0.7)
    resonance = rng.uniform(250, 390)
    x += 0.3 * studio.noise(resonance / 1.06, resonance * 1.06)
    turns = studio.wander(2, 0.995, 1.005)
    for level, low, high, harmonics, tilt in (
        (0.8, 300, 420, 20, 1.5),
        (0.28, 1200, 1700, 8, 0.4),
    ):
        tone = studio.tone(rng.uniform(low, high) * turns, harmonics, tilt)
        x += level * tone / tone.std()
    return x * studio.wander(1, 0.9, 1)


def _clock_tick(studio, rng):
    """A wound clock: tick and tock, each of two close clicks in its case."""
    x = studio.silence()
    modes = rng.uniform([400, 800, 1500, 2800, 4500], [800, 1500, 2800, 4500, 7000])
    amplitudes, decays = 0.78 ** np.arange(5), np.full(5, 0.009)
    gap, low = rng.uniform(0.01, 0.04), rng.uniform(700, 1500)
    tock = rng.uniform(0.6, 0.9)
    starts = studio.bursts(rng.choice([2, 4]), irregular=0.01)
    for index, at in enumerate(starts):
        for level, delay in ((0.2, 0), (1, gap)):
            click = 2 * studio.thud(low, 6000, 0.003, slope=0.2)
            case = modes * (1, tock)[index % 2]
            add(click, studio.struck(0.05, case, amplitudes, decays), 0)
            add(x, level * click, at + int(delay * studio.rate))
    x = studio.room(x, decay=0.022, wet=0.7)
    return x + rng.uniform(0.03, 0.08) * studio.noise(60, 4000, slope=0.4)


def _clock_alarm(studio, rng):
    """A digital alarm: groups of short beeps."""
    t = studio.t
    count, beep = rng.choice([2, 4, 4]), rng.uniform(0.11, 0.14)
    cycle = count * beep + rng.uniform(0.35, 0.55)
    position = (t + rng.uniform(0, cycle)) % cycle
    on = (position < count * beep) & (position % beep < 0.55 * beep)
    gate = np.convolve(on, np.ones(32) / 32, mode="same")
    pitch = np.full(studio.n, rng.uniform(1900, 2300))
    x = gate * studio.tone(pitch, harmonics=3, tilt=rng.uniform(0.6, 1.2))
    return studio.room(x, decay=0.06, wet=0.15)


def _door_wood_knock(studio, rng):
    """Knuckles on a wooden door, a few knocks at a time."""
    x = studio.silence()
    low, high, at = rng.uniform(80, 150), rng.uniform(500, 1200), rng.uniform(0.1, 0.5)
    while at < studio.seconds:
        for _ in range(rng.integers(3, 6)):
            knock = studio.thud(low, high, rng.uniform(0.015, 0.025), slope=0.3)
            add(knock, 0.5 * studio.thud(500, 4000, 0.004), 0)
            add(x, rng.uniform(0.7, 1) * knock, int(at * studio.rate))
            at += rng.uniform(0.13, 0.2)
        at += rng.uniform(0.7, 1.5)
    x = studio.room(x, decay=0.1, wet=0.25)
    return x + 0.003 * studio.noise(60, 3000, slope=0.5)


def _car_horn(studio, rng):
    """Two reeds a third apart, honked once or more."""
    t = studio.t
    gate, at = studio.silence(), rng.uniform(0.1, 0.6)
    while at < studio.seconds:
        end = at + rng.uniform(0.3, 1.5)
        gate += (t > at) & (t < end)
        at = end + rng.uniform(0.2, 1.2)
    gate = np.convolve(gate, np.ones(320) / 320, mode="same")
    base = rng.uniform(330, 430)
    x = studio.tone(np.full(studio.n, base), 16, tilt=0.4)
    x += studio.tone(np.full(studio.n, base * rng.uniform(1.22, 1.27)), 16, tilt=0.4)
    x = studio.room(gate * x, decay=0.12, wet=0.4)
    return x + rng.uniform(0.02, 0.1) * studio.noise(50, 2000, slope=0.8)


def _mouse_click(studio, rng):
    """The button of a mouse, down and up, once or twice in a row, in a quiet room."""
    x = studio.silence()
    modes = rng.uniform([2500, 3700, 5200], [3300, 4800, 7000])
    at = rng.uniform(0.1, 0.5)
    while at < studio.seconds:
        for _ in range(rng.choice([1, 2], p=[0.7, 0.3])):
            gap = rng.uniform(0.07, 0.12)
            for level, delay, tune in ((1, 0, 1), (0.7, gap, 1.12)):
                click = 0.6 * studio.thud(1500, 7500, 0.002)
                ring = studio.struck(0.016, tune * modes, [1, 0.7, 0.5], [0.0012] * 3)
                add(click, ring, 0)
                add(click, 0.2 * studio.thud(200, 900, 0.005), 0)
                level *= rng.uniform(0.8, 1)
                add(x, level * click, int((at + delay) * studio.rate))
            at += rng.uniform(0.18, 0.28)
        at += rng.uniform(0.3, 1)
    x = studio.room(x, decay=0.03, wet=0.3)
    return x + 0.005 * studio.noise(50, 6000, slope=0.5)


# Classes of ESC-50 in natural words, each with a second caption in other words.
THINGS = {
    "car horn": (_car_horn, "a car is honking"),
    "church bells": (_church_bells, "the bells of a church are ringing"),
    "clock alarm": (_clock_alarm, "an alarm clock beeps"),
    "clock tick": (_clock_tick, "a clock is ticking"),
    "door wood knock": (_door_wood_knock, "someone knocks on a wooden door"),
    "helicopter": (_helicopter, "a helicopter flies past"),
    "mouse click": (_mouse_click, "someone clicks with a computer mouse"),
    "siren": (_siren, "an emergency siren wails"),
    "vacuum cleaner": (_vacuum_cleaner, "someone is vacuuming the floor"),
}
