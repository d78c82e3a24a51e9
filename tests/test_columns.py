"""The columns of results.csv, each against a slow reference from its definition."""

import numpy as np
import pytest
import torch

from speechbrain_lmac.evaluation.conditions import Sound
from speechbrain_lmac.evaluation.measure import Measurement
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.testing import random_interpreter

CLASSES = ("rain", "wind", "dog", "siren", "bell")
FRACTIONS = [0.1, 0.5]
TOLERANCE = 1e-4  # what a probability must grow by to have grown
DOMAINS = ("stft", "mel")


@pytest.fixture(scope="module")
def sound():
    """A tone that swells, in noise."""
    draw = torch.Generator().manual_seed(5)
    time = torch.arange(6400) / 16000
    source = 0.3 * time * torch.sin(2 * torch.pi * 900 * time)
    noise = 0.02 * torch.randn(6400, generator=draw)
    return Sound(source + noise, source, noise)


@pytest.fixture(scope="module")
def measurement(sound, tell_apart):
    """Of a classifier that has learned nothing, yet does not take noise for silence."""
    interpreter = random_interpreter(5)
    classifier = interpreter.mods.classifier
    tell_apart(classifier, [sound.waveform, torch.zeros(6400)])
    text = classifier.embed_text(classifier.prompts(CLASSES))
    return Measurement(interpreter, {}, text, DOMAINS, FRACTIONS)


@pytest.fixture(scope="module")
def measure(measurement):
    """A sound, a domain and perhaps a label to the hearing, two masks and columns."""

    def measured(sound, domain, label=None):
        hearing = measurement.hear(sound, label)
        grid = hearing.in_domain(domain).energies.shape[-2:]
        masks = torch.rand(2, *grid, generator=torch.Generator().manual_seed(2))
        masks[0] **= 1 / 8  # nearly all, and nearly nothing
        masks[1] **= 8
        return hearing, masks, measurement.columns(hearing, domain, masks)

    return measured


# ---- the reference ----


def figures(p, o, q, c, tolerance=TOLERANCE):
    """The faithfulness of probabilities of all classes."""
    grown = o[c] > p[c] + tolerance
    return {
        "AI": 100.0 * grown,
        "AD": 100 * max(0.0, p[c] - o[c]) / p[c],
        "AG": 100 * (o[c] - p[c]) / (1 - p[c]) if grown else 0.0,
        "FF": p[c] - q[c],
        "FidIn": float(o.argmax() == c),
    }


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def shape(mask):
    """The Gini index, the entropy and the mean."""
    values = np.sort(mask.double().flatten().numpy())
    n, share = len(values), values / values.sum()
    index = np.arange(1, n + 1)
    gini = 1 - 2 * (share * (n - index + 0.5) / n).sum()
    entropy = -(share[share > 0] * np.log(share[share > 0])).sum()
    return {"SPS": gini, "COMP": entropy, "MM": values.mean()}


def si_sdr(estimate, source):
    """In dB; what is not along the source is distortion."""
    estimate, source = estimate.double(), source.double()
    target = (estimate @ source) / (source @ source) * source
    return 10 * torch.log10(target.square().sum() / (estimate - target).square().sum())


class Reference:
    """Columns of one mask, from the sound on; nothing is shared between them."""

    def __init__(self, measurement, sound, domain, explained):
        self.classifier, self.sound = measurement.classifier, sound
        self.text = measurement.text.double().numpy()
        self.domain, self.c = domain, explained
        self.masking = Masking.for_classifier(self.classifier, domain, "log", -68.0)
        self.spectrum = self.classifier.stft(sound.waveform[None])
        self.x = self.spectra(sound.waveform)

    def spectra(self, waveform):
        magnitude = self.classifier.stft(waveform[None]).abs()
        return magnitude if self.domain == "stft" else self.classifier.to_mel(magnitude)

    def similarity(self, energies):
        heard = self.classifier.encode(energies, self.domain).embedding[0]
        return self.text @ heard.double().numpy()

    def p(self, energies):
        return softmax(self.classifier.temperature * self.similarity(energies))

    def faithful(self, mask):
        keep, c = self.masking.keep, self.c
        kept, removed = keep(mask, self.x), keep(1 - mask, self.x)
        faint, left = keep(0.01 * mask, self.x), keep(1 - 0.01 * mask, self.x)
        p, o, q = self.p(self.x), self.p(kept), self.p(removed)
        out = {"p": p[c], "o": o[c], "q": q[c]} | figures(p, o, q, c) | shape(mask)
        out["AD (double softmax)"] = figures(*map(softmax, (p, o, q)), c)["AD"]
        out["similarity"] = self.similarity(self.x)[c]
        raw = [softmax(self.similarity(e)) for e in (self.x, kept, removed)]
        raw = figures(*raw, c, TOLERANCE / self.classifier.temperature)
        out |= {f"raw {name}": raw[name] for name in ("AI", "AD", "AG", "FF")}
        gain = figures(p, self.p(faint), self.p(left), c)
        out |= {f"gain {name}": value for name, value in gain.items()}
        if self.domain == "stft":
            heard = figures(p, self.p(self.spectra(self.played(kept))), q, c)
            out |= {f"heard {name}": heard[name] for name in ("AI", "AD", "FidIn")}
        return out

    def played(self, kept):
        length = len(self.sound.waveform)
        return self.classifier.stft.playback(kept, self.spectrum, length)[0]

    def curves(self, mask):
        """What is deleted first, and what is inserted first, is best."""
        full, silence = self.p(self.x)[self.c], self.p(0 * self.x)[self.c]
        out = {"deletion curve": [full], "insertion curve": [silence]}
        for fraction in FRACTIONS:
            count = round(fraction * mask.numel())
            best = (mask >= mask.flatten().sort(descending=True).values[count - 1]) + 0
            assert best.sum() == count
            out["deletion curve"].append(self.p((1 - best) * self.x)[self.c])
            out["insertion curve"].append(self.p(best * self.x)[self.c])
        out["deletion curve"].append(silence)
        out["insertion curve"].append(full)
        for name in ("deletion", "insertion"):
            y, x = out[f"{name} curve"], [0, *FRACTIONS, 1]
            out[name] = sum(
                (x[i + 1] - x[i]) * (y[i + 1] + y[i]) / 2 for i in range(len(x) - 1)
            )
        return out

    def localised(self, mask):
        power = 2 if self.domain == "stft" else 1
        source, rest = (self.spectra(s)[0] ** power for s in self.sound[1:])
        ideal = (source / (source + rest)).sqrt()
        under = (mask * source).sum(), (mask * rest).sum()
        common, union = torch.minimum(mask, ideal), torch.maximum(mask, ideal)
        out = {"silent target": 0.0, "share": (under[0] / sum(under)).item()}
        out["IoU"] = (common.sum() / union.sum()).item()
        if self.domain == "stft":
            mixture, source, _ = self.sound
            played = self.played(self.masking.keep(mask, self.x))
            gain = si_sdr(played, source) - si_sdr(mixture, source)
            out["SI-SDRi"] = gain.item()
        return out

    def __call__(self, mask, localised):
        out = self.faithful(mask) | self.curves(mask)
        return out | (self.localised(mask) if localised else {})


# ---- the columns ----


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("domain", DOMAINS)
def test_every_column_is_what_its_name_says(
    sound, measurement, measure, domain, labelled
):
    """Of the predicted class, and of a label that is not the predicted one."""
    predicted = measurement.hear(sound).predicted
    label = (predicted + 1) % len(CLASSES) if labelled else None
    hearing, masks, columns = measure(sound, domain, label)
    assert hearing.explained == (label if labelled else predicted)
    reference = Reference(measurement, sound, domain, hearing.explained)
    for i, mask in enumerate(masks):
        expected = reference(mask, localised=labelled)
        assert set(columns) == set(expected)
        for name, value in expected.items():
            found = torch.as_tensor(columns[name][i]).tolist()
            near = 1e-3 if name.endswith(("AD", "AG", "SI-SDRi")) else 1e-5
            assert found == pytest.approx(value, rel=1e-5, abs=near), name


def test_what_is_compared_differs(sound, measure):
    """Else columns that are mixed up would be as good as right ones."""
    _, _, columns = measure(sound, "stft")
    for one, other in (
        ("AD", "heard AD"),
        ("AD", "raw AD"),
        ("AD", "gain AD"),
        ("AD", "AD (double softmax)"),
        ("deletion", "insertion"),
        ("p", "o"),
        ("o", "q"),
    ):
        difference = torch.as_tensor(columns[one]) - torch.as_tensor(columns[other])
        assert difference.abs().max() > 5e-3, one
    for name in ("AI", "raw AI", "FidIn"):
        assert len(set(columns[name].tolist())) == 2


def test_raw_similarities_have_a_tolerance_of_their_own(sound, measurement, measure):
    """A growth that counts without the temperature, and would be too small with it."""
    hearing, masks, columns = measure(sound, "stft")
    reference = Reference(measurement, sound, "stft", hearing.explained)
    kept = reference.masking.keep(masks[0], reference.x)
    after, before = (softmax(reference.similarity(e)) for e in (kept, reference.x))
    growth = (after - before)[hearing.explained]
    assert TOLERANCE / measurement.classifier.temperature < growth < TOLERANCE
    assert columns["raw AI"][0] == 100


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_silent_target_is_said_and_not_localised(sound, measure, domain):
    silent = Sound(sound.background, 0 * sound.source, sound.background)
    _, _, columns = measure(silent, domain, label=0)
    assert list(columns["silent target"]) == [1.0, 1.0]
    assert not {"share", "IoU", "SI-SDRi"} & set(columns)
