"""What a decoder's masks are worth, on one fold of a data set, with the control.

    python benchmarks/faithfulness.py --data_folder DIR/ESC-50 --fold 4
    python benchmarks/faithfulness.py --data_folder DIR/ESC-50 --fold 3 --speed 0.7
    python benchmarks/faithfulness.py --data_folder DIR/UrbanSound8K \\
        --dataset UrbanSound8K --fold 2 --speed 0.7 --noise_db 3

Prints the table of the README and writes it as JSON. Prompts are the classifier's
template with each of the class names. Played at other speeds, clips that a decoder was
trained on are as hard as new ones: weights are chosen on these. In noise there are no
mixtures.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch
from torchaudio.functional import resample
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio
from tqdm import tqdm

from speechbrain_lmac import audio, metrics
from speechbrain_lmac.errors import exit_code
from speechbrain_lmac.evaluation.clips import DATASETS, dataset_module, load_clips
from speechbrain_lmac.explainers.base import hear, hear_masked
from speechbrain_lmac.interpreter import LMACZSInterpreter
from speechbrain_lmac.masking import DOMAINS, Masking


def load_fold(dataset, data_folder, fold, classifier, speed=1.0, count=None):
    """Waveforms [n, N] and class numbers [n] of a fold, played at a speed."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "fold.csv"
        clips = load_clips(dataset, data_folder, [fold], classifier, manifest)
    chosen, classes = clips.chosen(count), dataset_module(dataset).CLASSES
    waves = torch.stack([clips.read(clip) for clip in tqdm(chosen, "reading")])
    if speed != 1:
        length = waves.shape[1]
        waves = resample(waves, round(10 * speed), 10)[:, :length]
        waves = torch.nn.functional.pad(waves, (0, length - waves.shape[1]))
    return waves, torch.tensor([classes.index(clips.label(clip)) for clip in chosen])


def in_noise(waves, noise_db, seed):
    """Clips [n, N] in white noise that lies ``noise_db`` below each of them."""
    noise = torch.randn(waves.shape, generator=torch.Generator().manual_seed(seed))
    return waves + audio.scaled_below(noise, waves, noise_db)


def energy(values, domain):
    """Energy of spectrograms [..., F, T]; mel bands are energies already."""
    return values.pow(2 if domain == "stft" else 1).sum((-2, -1))


class Bench:
    """Masks of one interpreter, heard in every way that the table needs.

    Arguments
    ---------
    interpreter : LMACZSInterpreter
        Classifier, decoder, law and floor.
    classes : sequence of str
        Of the data set.
    domain : str
        ``stft`` or ``mel``. Only masks on the STFT can be heard.
    seed : int
        Of the wrong prompts and the mixtures.
    """

    def __init__(self, interpreter, classes, domain="stft", seed=0):
        self.classifier, self.domain = interpreter.mods.classifier, domain
        self.decoder = interpreter.mods.decoder
        settings = interpreter.hparams
        self.masking = Masking.for_classifier(
            self.classifier, domain, settings.masking_law, settings.mask_floor_db
        )
        self.text = self.classifier.embed_text(self.classifier.prompts(classes))
        self.draw = torch.Generator().manual_seed(seed)

    def probabilities(self, energies, domain=None):
        """Zero-shot probabilities of spectrograms [B, F, T]."""
        embedding = hear_masked(self.classifier, energies, domain or self.domain)
        return self.classifier.probabilities(embedding, self.text)

    def mask(self, scene, classes):
        """Masks [B, F, T] for one class a clip."""
        pairs = self.text[classes].unsqueeze(1)
        return self.decoder(scene.encoding, scene.mel, pairs, scene.domain).squeeze(1)

    def mask_means(self, scene):
        """Mean of each clip's mask for every class [B, classes]."""
        parts = (
            self.decoder(scene.encoding, scene.mel, text, scene.domain).mean((-2, -1))
            for text in self.text.expand(len(scene), -1, -1).split(10, 1)
        )
        return torch.cat(list(parts), 1)

    @torch.inference_mode()
    def clips(self, waves, labels):
        """Columns of values, one a clip, for a batch of clips."""
        classifier, masking = self.classifier, self.masking
        spectrum = classifier.stft(waves)
        scene = hear(classifier, spectrum.abs(), self.domain)
        x = scene.energies
        p = classifier.probabilities(scene.encoding.embedding, self.text)
        predicted = p.argmax(1)
        rows = torch.arange(len(waves))
        allowed = torch.ones_like(p)
        allowed[rows, predicted] = allowed[rows, labels] = 0
        wrong = torch.multinomial(allowed, 1, generator=self.draw).squeeze(1)

        mask, wrong_mask = self.mask(scene, predicted), self.mask(scene, wrong)
        means = self.mask_means(scene)
        smaller = (means < means[rows, predicted].unsqueeze(1)) * allowed
        kept = masking.keep(mask, x)
        constant = mask.mean((1, 2), keepdim=True).expand_as(mask)
        removed = self.probabilities(masking.remove(mask, x))
        out = metrics.faithfulness(p, self.probabilities(kept), removed)
        out |= metrics.mask_shape(mask)
        controls = {"constant": self.probabilities(masking.keep(constant, x))}
        if self.domain == "stft":
            played = classifier.stft.played(kept, spectrum, waves.shape[1])
            controls["heard"] = self.probabilities(played)
        for name, after in controls.items():
            values = metrics.faithfulness(p, after, removed)
            out |= {f"{name} {k}": values[k] for k in ("AI", "AD", "FidIn")}
        total = energy(x, self.domain).clamp(min=1e-9)
        kept_wrong = masking.keep(wrong_mask, x)
        out |= {
            "accuracy": (predicted == labels).float(),
            "confidence": p.amax(1),
            "right above wrong": smaller.sum(1) / allowed.sum(1),  # of all wrong ones
            "energy kept, right": energy(kept, self.domain) / total,
            "energy kept, wrong": energy(kept_wrong, self.domain) / total,
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
        masks = self.decoder(scene.encoding, scene.mel, self.text[labels], scene.domain)
        kept = self.masking.keep(masks, scene.energies.unsqueeze(1))
        sound = stft.playback(kept, spectrum.unsqueeze(1), mixture.shape[1])
        ratio = scale_invariant_signal_distortion_ratio
        return ratio(sound, sources) - ratio(
            mixture.unsqueeze(1).expand_as(sources), sources
        )


def measure(bench, waves, labels, batch=20, rounds=5):
    """The table, as a dictionary of figures."""
    parts = [
        bench.clips(waves[i : i + batch], labels[i : i + batch])
        for i in tqdm(range(0, len(waves), batch), "clips")
    ]
    values = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    medians = ("energy kept, right", "energy kept, wrong")
    table = {
        name: (v.double().median() if name in medians else v.double().mean()).item()
        for name, v in values.items()
    }
    table["FF of its ceiling"] = table["FF"] / table["confidence"]
    table["clips"] = len(waves)
    return table | (separation(bench, waves, labels, batch, rounds) if rounds else {})


def separation(bench, waves, labels, batch, rounds):
    """Median SI-SDR improvements over mixtures of two clips, each once in a round."""
    half = len(waves) // 2
    orders = [torch.randperm(len(waves), generator=bench.draw) for _ in range(rounds)]
    one = torch.cat([order[:half] for order in orders])
    other = torch.cat([order[half : 2 * half] for order in orders])
    two = labels[one] != labels[other]
    audible = (waves[one].abs().amax(1) > 0) & (waves[other].abs().amax(1) > 0)
    one, other = one[two & audible], other[two & audible]
    if not len(one):  # one clip, or all of a class
        return {"mixtures": 0}
    gains = [
        bench.mixtures(waves[a], waves[b], torch.stack([labels[a], labels[b]], 1))
        for a, b in tqdm(
            [*zip(one.split(batch), other.split(batch), strict=True)], "mixtures"
        )
    ]
    first, second = torch.cat(gains).median(0).values.tolist()
    return {
        "SI-SDRi first prompt": first,
        "SI-SDRi second prompt": second,
        "mixtures": len(one),
    }


def run(options):
    """Measures and prints what the command line asks for."""
    interpreter = LMACZSInterpreter.from_hparams(options.model)
    classes = dataset_module(options.dataset).CLASSES
    bench = Bench(interpreter, classes, options.domain, options.seed)
    waves, labels = load_fold(
        options.dataset,
        options.data_folder,
        options.fold,
        bench.classifier,
        options.speed,
        options.clips,
    )
    quiet = options.noise_db is None
    if not quiet:
        waves = in_noise(waves, options.noise_db, options.seed)
    rounds = 5 if options.domain == "stft" and quiet else 0
    table = measure(bench, waves, labels, rounds=rounds)
    for name, value in table.items():
        print(f"{name:24s}{value:10.4g}")
    if options.output:
        Path(options.output).write_text(json.dumps(table, indent=2) + "\n")


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_folder", required=True, help="as published")
    parser.add_argument("--dataset", default="ESC-50", choices=[*DATASETS])
    parser.add_argument("--fold", type=int, default=4)
    parser.add_argument("--model", default="mini", help="mini, or an exported folder")
    parser.add_argument("--domain", default="stft", choices=DOMAINS)
    parser.add_argument("--speed", type=float, default=1.0, help="of playing")
    parser.add_argument("--noise_db", type=float, help="white noise, so far below")
    parser.add_argument("--clips", type=int, help="at most, evenly taken; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", help="a JSON file")
    options = parser.parse_args()
    return exit_code(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
