"""What benchmarks/faithfulness.py makes of masks whose figures are known."""

import pytest
import torch

from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.testing import random_interpreter

pytestmark = pytest.mark.usefixtures("short_window")
CLASSES = ("rain", "wind", "dog", "siren", "bell", "frog")
LABELS = torch.tensor([0, 1, 2])


@pytest.fixture(scope="module")
def waves():
    """Noise, and tones in noise [3, N]."""
    draw = torch.Generator().manual_seed(1)
    time = torch.arange(6400) / 16000
    noise = 0.02 * torch.randn(3, 6400, generator=draw)
    pitch = torch.tensor([[0.0], [400.0], [3000.0]])
    return noise + 0.1 * torch.sin(2 * torch.pi * pitch * time)


@pytest.fixture
def script(load_benchmark):
    return load_benchmark("faithfulness")


@pytest.mark.parametrize("name", ["faithfulness", "zero_shot"])
def test_data_that_are_not_there(load_benchmark, tmp_path, monkeypatch, capsys, name):
    monkeypatch.setattr("sys.argv", [name, "--data_folder", str(tmp_path / "none")])
    assert load_benchmark(name).main() == 2
    assert "esc50.csv: no such file" in capsys.readouterr().err


@pytest.fixture
def model():
    """An interpreter that has learned nothing."""
    return random_interpreter(5)


@pytest.fixture
def bench(script, model, tell_apart, waves):
    """By the domain, anew each time."""
    tell_apart(model.mods.classifier, [*waves])
    return lambda domain="stft": script.Bench(model, CLASSES, domain)


@pytest.fixture
def all_ones(monkeypatch):
    """The decoder keeps everything, whatever the prompt."""

    def ones(self, encoding, mel, text, domain="stft"):
        bins = len(self.bands) if domain == "stft" else mel.shape[1]
        return torch.ones(*text.shape[:2], bins, mel.shape[2])

    monkeypatch.setattr(MaskDecoder, "forward", ones)


def heard(made, magnitude):
    """Probabilities of spectrograms."""
    encoding = made.classifier.encode(magnitude)
    return made.classifier.probabilities(encoding.embedding, made.text)


@pytest.mark.parametrize("domain", ["stft", "mel"])
def test_a_mask_of_ones_costs_nothing_and_leaves_silence(
    bench, all_ones, waves, domain
):
    made = bench(domain)
    values = made.clips(waves, LABELS)
    kinds = ["", "constant "] + ["heard "] * (domain == "stft")
    for kind in kinds:
        assert (values[f"{kind}AI"] == 0).all()
        assert values[f"{kind}AD"].abs().max() < 0.01
        assert (values[f"{kind}FidIn"] == 1).all()
    x = made.classifier.stft(waves).abs()
    p, left = heard(made, x), heard(made, 0 * x[:1])[0]
    best = p.argmax(1)
    assert len(set(best.tolist())) > 1
    assert values["FF"] == pytest.approx(p.amax(1) - left[best], abs=1e-5)
    assert values["confidence"] == pytest.approx(p.amax(1), abs=1e-5)
    assert values["accuracy"].tolist() == (best == LABELS).float().tolist()
    for name in ("MM", "energy kept, right", "energy kept, wrong"):
        assert values[name] == pytest.approx(torch.ones(3), abs=1e-4)
    # no wrong prompt has a smaller mask
    assert (values["right above wrong"] == 0).all()


def test_masks_and_their_controls_are_heard(bench, model, waves):
    """One clip and one class at a time; the masks are the interpreter's.

    The constant control has the mean of the mask everywhere.
    """
    made = bench()
    values, stft = made.clips(waves, LABELS), made.classifier.stft
    masking = Masking.for_classifier(made.classifier, "stft", "log", -68)
    explained = model.interpret_batch(waves, made.classifier.prompts(CLASSES))
    for i, (wave, explanation) in enumerate(zip(waves, explained, strict=True)):
        spectrum = stft(wave[None])
        p = heard(made, spectrum.abs())[0]
        c = int(p.argmax())
        means = explanation.mask.mean((-2, -1))
        assert values["MM"][i].item() == pytest.approx(means[c].item(), abs=1e-5)
        kept = masking.keep(explanation.mask[c], spectrum.abs())
        sounds = {
            "": kept,
            "constant ": masking.keep(means[c], spectrum.abs()),
            "heard ": stft(stft.playback(kept, spectrum, len(wave))).abs(),
        }
        for kind, sound in sounds.items():
            o = heard(made, sound)[0]
            drop = 100 * (p[c] - o[c]).clamp(min=0) / p[c]
            assert values[f"{kind}AD"][i].item() == pytest.approx(drop.item(), abs=0.01)
            assert values[f"{kind}FidIn"][i] == float(o.argmax() == c)
        wrong = [k for k in range(len(CLASSES)) if k not in (c, int(LABELS[i]))]
        smaller = sum(float(means[k] < means[c]) for k in wrong) / len(wrong)
        assert values["right above wrong"][i].item() == pytest.approx(smaller)
    assert (values["AD"] - values["constant AD"]).abs().max() > 1


def test_the_table_is_of_means_and_of_all_clips(script, bench, waves):
    whole = bench().clips(waves, LABELS)
    table = script.measure(bench(), waves, LABELS, batch=2, rounds=0)
    for name in ("AD", "FF", "MM", "confidence", "constant AD", "heard AD"):
        assert table[name] == pytest.approx(whole[name].mean().item(), rel=1e-4)
    middle = whole["energy kept, right"].median().item()
    assert table["energy kept, right"] == pytest.approx(middle, rel=1e-4)
    ceiling = whole["FF"].mean() / whole["confidence"].mean()
    assert table["FF of its ceiling"] == pytest.approx(ceiling.item(), rel=1e-4)
    assert table["clips"] == 3


def test_what_keeps_both_sources_separates_none(script, bench, all_ones, waves):
    table = script.measure(bench(), waves, LABELS, batch=2, rounds=2)
    assert table["mixtures"] == 2  # of three clips, one pair in each round
    assert abs(table["SI-SDRi first prompt"]) < 1e-2
    assert abs(table["SI-SDRi second prompt"]) < 1e-2


def test_clips_in_noise(script, waves):
    """As far below each clip as is said, the same for a seed."""
    noise = script.in_noise(waves, 3.0, seed=1) - waves
    below = waves.square().mean(1) / noise.square().mean(1)
    assert 10 * below.log10() == pytest.approx(torch.full((3,), 3.0), abs=1e-3)
    assert torch.equal(script.in_noise(waves, 3.0, seed=1) - waves, noise)
    other = script.in_noise(waves, 3.0, seed=2) - waves
    assert torch.cosine_similarity(noise, other).abs().max() < 0.1


def test_one_clip_has_no_partner(script, bench, waves):
    table = script.measure(bench(), waves[:1], LABELS[:1], rounds=2)
    assert table["mixtures"] == 0 and "SI-SDRi first prompt" not in table
