"""What the method adds to the encoder passes that it cannot do without, as ratios.

    python benchmarks/speed.py --classifier laion --batch 4

One process measures both sides in turn, so that a busy machine slows both. Weights are
random, since they change no time, and clips are in memory. At most 1.3 is wanted.
"""

import argparse
import statistics
import time
from unittest import mock

import torch

from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.explainers.base import hear
from speechbrain_lmac.explainers.lmac_zs import LMACZS
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.mixing import SceneObjective
from speechbrain_lmac.pairing import PaperObjective
from speechbrain_lmac.questions import Questions
from speechbrain_lmac.testing import random_hf, random_laion

PROMPTS = ["rain", "a dog barking", "wind", "a church bell", "a clock", "snoring"]
PROMPTS += ["a siren", "an engine", "birds", "a crying baby"]


def make_classifier(name, device):
    """Random weights in the true architecture; ``mini`` has its own."""
    if name == "mini":
        from speechbrain_lmac.classifiers.mini import Mini

        return Mini("mini").to(device)
    return {"laion": random_laion, "hf": random_hf}[name]().to(device)


def make_step(classifier, loss, batch, seconds=None, **settings):
    """One step of a training, as a function that makes it again with the same draws."""
    device = classifier.device
    maskings = Masking.for_domains(classifier, domains=["stft"])
    decoder = MaskDecoder(classifier).to(device).train()
    optimizer = torch.optim.AdamW(decoder.parameters())
    if loss == "paper":
        objective = PaperObjective(classifier, maskings, diversity=0.05, **settings)
    else:
        objective = SceneObjective(
            classifier, maskings, Questions(), confidence=1.0, loudness=1.0, **settings
        )
    seconds = seconds or classifier.window_seconds
    samples = round(seconds * classifier.sample_rate)
    waveforms = 0.1 * torch.randn(batch, samples, device=device)
    bank = classifier.embed_text(PROMPTS)
    own = torch.arange(batch, device=device) % len(PROMPTS)

    def step():
        torch.manual_seed(0)
        pairs = objective.prepare(waveforms, bank, own)
        scene = pairs.scene
        masks = decoder(scene.encoding, scene.mel, pairs.text, scene.domain)
        sum(objective.terms(pairs, masks).values()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def bare_passes(classifier, step):
    """The encoder passes of a step, recorded, as a function that makes them alone."""
    calls, encode = [], classifier.encode

    def noted(energies, domain="stft"):
        wants = torch.is_grad_enabled() and energies.requires_grad
        calls.append((energies.detach().clone(), domain, wants))
        return encode(energies, domain)

    with mock.patch.object(classifier, "encode", noted):
        step()

    def passes():
        for energies, domain, wants in calls:
            with torch.set_grad_enabled(wants):
                heard = encode(energies.requires_grad_(wants), domain)
                if wants:
                    torch.autograd.grad(heard.embedding.sum(), energies)

    return passes


def make_explanation(classifier, seconds):
    """From a waveform to a mask and its sound, and one bare encoder pass beside it."""
    masking, stft = Masking.for_classifier(classifier), classifier.stft
    explainer = LMACZS(MaskDecoder(classifier).to(classifier.device).eval())
    samples = round(seconds * classifier.sample_rate)
    waveform = 0.1 * torch.randn(1, samples, device=classifier.device)
    text = classifier.embed_text(PROMPTS[:1])
    mel = classifier.to_mel(stft(waveform).abs())

    def explain():
        spectrum = stft(waveform)
        scene = hear(classifier, spectrum.abs())
        kept = masking.keep(explainer(scene, text)[:, 0], scene.energies)
        stft.playback(kept, spectrum, samples)

    def bare():
        with torch.no_grad():
            classifier.encode(mel, "mel")

    return explain, bare


def compare(name, whole, bare, repeats):
    """Prints the ratio of medians; both run once before and then in turn."""
    times = ([], [])
    for repeat in range(repeats + 1):
        for function, seconds in zip((whole, bare), times, strict=True):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            start = time.perf_counter()
            function()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if repeat:
                seconds.append(time.perf_counter() - start)
    one, other = map(statistics.median, times)
    print(f"{name}: {one / other:.2f}  ({one:.3f} s / {other:.3f} s)", flush=True)
    return one / other


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classifier", default="mini", choices=["mini", "laion", "hf"])
    parser.add_argument("--loss", default="default", choices=["default", "paper"])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0, help="explained clip")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.manual_seed(0)
    classifier = make_classifier(given.classifier, given.device)
    print(f"{given.classifier}, {given.device}, {torch.get_num_threads()} threads")
    step = make_step(classifier, given.loss, given.batch)
    name = f"training step ({given.loss}, batch {given.batch}) / its encoder passes"
    compare(name, step, bare_passes(classifier, step), given.repeats)
    explain, bare = make_explanation(classifier, given.seconds)
    name = f"explanation of {given.seconds:g} s / one encoder pass"
    compare(name, explain, bare, given.repeats)


if __name__ == "__main__":
    main()
