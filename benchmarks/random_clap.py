"""A training against LAION's CLAP with random weights: the loss falls, masks follow.

    python recipes/Clotho/prepare.py --data_folder DIR --output C.csv
    python benchmarks/random_clap.py --manifest C.csv --tokenizer_folder DIR

Weights that have learned nothing hear the same in everything, and sentences are much
alike to them. So every clip is mixed with another, and what is asked of the decoder is
to play the source that the caption names, by the loudness term; RoBERTa's weights are
drawn five times as wide as usual, so that two captions differ (cosine 0.84, not 0.97).
Afterwards each pair of the clips is mixed at 0 dB and asked about the first caption of
either. Options that this script does not know go to ``train.py``.
"""

import argparse
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch

from speechbrain_lmac import audio
from speechbrain_lmac.data.manifests import captions, read_manifest, write_manifest
from speechbrain_lmac.interpreter import LMACZSInterpreter
from speechbrain_lmac.localisation import si_sdr_improvement

ROOT = Path(__file__).resolve().parents[1]
EPOCHS, BATCH = 4, 4
CLASSIFIER = {"text_config": {"initializer_range": 0.1}}
OBJECTIVES = {
    "default": {
        "mix_share": 1.0,
        "alike": 1.1,  # no two sentences count as the same
        "removal": 0.0,
        "confidence": 0.0,
        "loudness": 20.0,
    }
}


def train(manifest, steps, folder, options):
    """Trains on clips, each of them many times in an epoch; returns the export."""
    copies = -(-steps * BATCH // (EPOCHS * len(manifest)))
    many = pd.concat(
        [manifest.assign(ID=f"{i} " + manifest["ID"]) for i in range(copies)]
    )
    write_manifest(many, folder / "train.csv")
    write_manifest(manifest, folder / "valid.csv")
    given = {
        "clap_checkpoint": "null",
        "train_csv": folder / "train.csv",
        "valid_csv": folder / "valid.csv",
        "output_folder": folder,
        "number_of_epochs": EPOCHS,
        "lr": 0.002,
        "lr_annealing": {"n_warmup_steps": 1},
        "train_dataloader_options": {"batch_size": BATCH},
        "masking_domains": ["stft"],
        "classifier": CLASSIFIER,
        "loss": "default",
        "l1": 0.3,
        "objectives": OBJECTIVES,
    }
    command = ["train.py", "hparams/lmac_zs.yaml"]
    for name, value in given.items():
        plain = json.dumps(value) if isinstance(value, dict | list) else str(value)
        command += [f"--{name}", plain]
    subprocess.run([sys.executable, *command, *options], cwd=ROOT, check=True)
    return folder / "export"


def first(path, classifier):
    """The first seconds of a clip that the classifier hears at once, at 0.1 RMS."""
    waveform = audio.read(path, classifier.sample_rate)
    waveform = waveform[: int(classifier.window_seconds * classifier.sample_rate)]
    return 0.1 * waveform / waveform.square().mean().sqrt()


@torch.no_grad()
def differences(interpreter, manifest):
    """Of each pair of clips: how the masks of both prompts differ, what is gained."""
    waves = [first(path, interpreter.mods.classifier) for path in manifest["wav"]]
    prompts = [captions(cell)[0] for cell in manifest["caption"]]
    for i, j in itertools.combinations(range(len(waves)), 2):
        length = min(len(waves[i]), len(waves[j]))
        sources = torch.stack([waves[i][:length], waves[j][:length]])
        mixture, asked = sources.sum(0), [prompts[i], prompts[j]]
        (explanation,) = interpreter.interpret_batch(mixture[None], asked)
        one, other = explanation.mask
        gain = [
            si_sdr_improvement(played[None], source, mixture).item()
            for played, source in zip(explanation.waveform, sources, strict=True)
        ]
        yield {
            "masks' difference over their mean": float(
                (one - other).abs().mean() / explanation.mask.mean()
            ),
            "mask mean": float(explanation.mask.mean()),
            "SI-SDR improvement in dB": sum(gain) / 2,
        }


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--manifest", required=True, help="captioned clips, ten or less"
    )
    parser.add_argument("--tokenizer_folder", default="roberta-base", help="RoBERTa's")
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "random_clap")
    asked, further = parser.parse_known_args()
    manifest = read_manifest(asked.manifest)
    options = ["--tokenizer_folder", asked.tokenizer_folder, *further]
    folder = asked.output.resolve()
    try:
        export = train(manifest, asked.steps, folder, options)
    except subprocess.CalledProcessError as error:
        return error.returncode  # train.py has said why
    log = (folder / "train_log.txt").read_text().splitlines()
    print(log[0], log[-1], sep="\n")
    interpreter = LMACZSInterpreter.from_hparams(str(export))
    found = pd.DataFrame(differences(interpreter, manifest))
    print(found.describe().loc[["mean", "min", "50%", "max"]].T.round(2).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
