"""What a decoder's masks are worth, on one fold of ESC-50, with the control.

    python benchmarks/faithfulness.py --data_folder DIR/ESC-50 --fold 4

Prints the table of the README and writes it as JSON. Prompts are the classifier's
template with each of the 50 class names; masks act on the STFT.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio
from tqdm import tqdm

from speechbrain_lmac import metrics
from speechbrain_lmac.data import esc50
from speechbrain_lmac.data.pipeline import ClipReader
from speechbrain_lmac.explainers.base import hear, hear_masked
from speechbrain_lmac.interpreter import LMACZSInterpreter


def load_fold(data_folder, fold, sample_rate):
    """Waveforms [n, N] and class numbers [n] of a fold of ESC-50."""
    with tempfile.TemporaryDirectory() as folder:
        rows = esc50.prepare(data_folder, Path(folder) / "fold.csv", [fold])
    reader = ClipReader(sample_rate, 5.0, keep=False)
    waves = torch.stack([reader(path) for path in tqdm(rows["wav"], "reading")])
    return waves, torch.tensor([esc50.CLASSES.index(c) for c in rows["caption"]])


def energy(magnitude):
    """Sum of squares of spectrograms [..., F, T]."""
    return magnitude.square().sum((-2, -1))


class Bench:
    """Masks of one interpreter, heard in every way that the table needs.

    Arguments
    ---------
    interpreter : LMACZSInterpreter
        Classifier, decoder and masking.
    seed : int
        Of the wrong prompts and the mixtures.
    """

    def __init__(self, interpreter, seed=0):
        self.classifier = interpreter.mods.classifier
        self.explain, self.masking = interpreter.explainer, interpreter.masking
        self.text = self.classifier.embed_text(self.classifier.prompts(esc50.CLASSES))
        self.draw = torch.Generator().manual_seed(seed)

    def probabilities(self, magnitude):
        """Zero-shot probabilities of spectrograms [B, F, T]."""
        embedding = hear_masked(self.classifier, magnitude, "stft")
        return self.classifier.probabilities(embedding, self.text)

    def mask(self, scene, classes):
        """Masks [B, F, T] for one class a clip."""
        pairs = self.text[classes].unsqueeze(1)
        decoder = self.explain.decoder
        return decoder(scene.encoding, scene.mel, pairs, scene.domain).squeeze(1)

    @torch.inference_mode()
    def clips(self, waves, labels):
        """Columns of values, one a clip, for a batch of clips."""
        classifier, masking = self.classifier, self.masking
        spectrum = classifier.stft(waves)
        x = spectrum.abs()
        scene = hear(classifier, x)
        p = classifier.probabilities(scene.encoding.embedding, self.text)
        predicted = p.argmax(1)
        rows = torch.arange(len(waves))
        allowed = torch.ones_like(p)
        allowed[rows, predicted] = allowed[rows, labels] = 0
        wrong = torch.multinomial(allowed, 1, generator=self.draw).squeeze(1)

        mask, wrong_mask = self.mask(scene, predicted), self.mask(scene, wrong)
        kept = masking.keep(mask, x)
        constant = mask.mean((1, 2), keepdim=True).expand_as(mask)
        sound = classifier.stft.playback(kept, spectrum, waves.shape[1])
        heard = classifier.stft(sound)
        removed = self.probabilities(masking.remove(mask, x))
        out = metrics.faithfulness(p, self.probabilities(kept), removed)
        out |= metrics.mask_shape(mask)
        controls = {
            "heard": self.probabilities(heard.abs()),
            "constant": self.probabilities(masking.keep(constant, x)),
        }
        for name, after in controls.items():
            values = metrics.faithfulness(p, after, removed)
            out |= {f"{name} {k}": values[k] for k in ("AI", "AD", "FidIn")}
        total = energy(x).clamp(min=1e-9)
        out |= {
            "accuracy": (predicted == labels).float(),
            "confidence": p.amax(1),
            "right above wrong": (constant[:, 0, 0] > wrong_mask.mean((1, 2))).float(),
            "energy kept, right": energy(kept) / total,
            "energy kept, wrong": energy(masking.keep(wrong_mask, x)) / total,
        }
        return out

    @torch.inference_mode()
    def mixtures(self, first, second, labels):
        """SI-SDR improvement in dB towards either source of 0 dB mixtures [B, 2]."""
        stft = self.classifier.stft
        sources = torch.stack([first, second], 1)
        level = sources.square().mean(2, keepdim=True).sqrt().clamp(min=1e-4)
        sources = 0.1 * sources / level
        mixture = sources.sum(1)
        spectrum = stft(mixture)
        scene = hear(self.classifier, spectrum.abs())
        decoder = self.explain.decoder
        masks = decoder(scene.encoding, scene.mel, self.text[labels], scene.domain)
        kept = self.masking.keep(masks, scene.energies.unsqueeze(1))
        sound = stft.playback(kept, spectrum.unsqueeze(1), mixture.shape[1])
        ratio = scale_invariant_signal_distortion_ratio
        return ratio(sound, sources) - ratio(
            mixture.unsqueeze(1).expand_as(sources), sources
        )


def measure(interpreter, waves, labels, seed=0, batch=20, pairs=200):
    """The table, as a dictionary of figures."""
    bench = Bench(interpreter, seed)
    parts = [
        bench.clips(waves[i : i + batch], labels[i : i + batch])
        for i in tqdm(range(0, len(waves), batch), "clips")
    ]
    values = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    order = torch.randperm(len(waves), generator=bench.draw)
    pairs = min(pairs, len(waves) // 2)
    one, other = order[:pairs], order[pairs : 2 * pairs]
    two = labels[one] != labels[other]
    audible = (waves[one].abs().amax(1) > 0) & (waves[other].abs().amax(1) > 0)
    one, other = one[two & audible], other[two & audible]
    gains = [
        bench.mixtures(waves[a], waves[b], torch.stack([labels[a], labels[b]], 1))
        for a, b in zip(one.split(batch), other.split(batch), strict=True)
    ]
    first, second = torch.cat(gains).median(0).values.tolist()
    medians = ("energy kept, right", "energy kept, wrong")
    table = {
        name: (v.double().median() if name in medians else v.double().mean()).item()
        for name, v in values.items()
    }
    table["FF of its ceiling"] = table["FF"] / table["confidence"]
    table["SI-SDRi first prompt"], table["SI-SDRi second prompt"] = first, second
    table["mixtures"], table["clips"] = len(one), len(waves)
    return table


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_folder", required=True, help="ESC-50 as published")
    parser.add_argument("--fold", type=int, default=4)
    parser.add_argument("--model", default="mini", help="mini, or an exported folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", help="a JSON file")
    options = parser.parse_args()
    interpreter = LMACZSInterpreter.from_hparams(options.model)
    rate = interpreter.mods.classifier.sample_rate
    waves, labels = load_fold(options.data_folder, options.fold, rate)
    table = measure(interpreter, waves, labels, options.seed)
    for name, value in table.items():
        print(f"{name:24s}{value:10.4g}")
    if options.output:
        Path(options.output).write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
