"""Zero-shot accuracy of the embedded classifier on folds that it has not heard.

    python benchmarks/zero_shot.py --data_folder DIR

``DIR`` holds ``ESC-50`` and ``UrbanSound8K`` as published.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.data import esc50, urbansound8k
from speechbrain_lmac.data.pipeline import ClipReader
from speechbrain_lmac.errors import exit_code
from speechbrain_lmac.explainers.base import hear

TEMPLATES = (
    "this is the sound of {}",
    "{}",
    "a recording of {}",
    "i can hear {}",
)


@torch.inference_mode()
def embed_clips(classifier, dataset, data_folder, fold):
    """Embeddings [n, D] and class numbers [n] of a fold."""
    with tempfile.TemporaryDirectory() as folder:
        rows = dataset.prepare(data_folder, Path(folder) / "fold.csv", [fold])
    reader = ClipReader(
        classifier.sample_rate,
        classifier.window_seconds,
        keep=False,
        repeat=classifier.repeats_short_clips,
    )
    out = []
    for start in tqdm(range(0, len(rows), 50), f"{data_folder} fold {fold}"):
        waves = torch.stack([reader(p) for p in rows["wav"][start : start + 50]])
        out.append(hear(classifier, classifier.stft(waves).abs()).encoding.embedding)
    labels = [dataset.CLASSES.index(c) for c in rows["label"]]
    return torch.cat(out), torch.tensor(labels)


def accuracy(classifier, embeddings, labels, names, template):
    """Share of clips whose best prompt is their class, among ``names``."""
    text = classifier.embed_text([template.format(name) for name in names])
    return (embeddings @ text.T).argmax(1).eq(labels).float().mean().item()


def run(options):
    """Measures and prints what the command line asks for."""
    classifier, table = Mini(options.model), {}
    sets = (
        ("ESC-50", esc50, options.esc50_fold),
        ("UrbanSound8K", urbansound8k, options.urbansound_fold),
    )
    for name, dataset, fold in sets:
        folder = Path(options.data_folder) / name
        embeddings, labels = embed_clips(classifier, dataset, folder, fold)
        if options.only and dataset is esc50:
            numbers = [esc50.CLASSES.index(c) for c in options.only]
            some = torch.isin(labels, torch.tensor(numbers))
            embeddings, labels = embeddings[some], labels[some]
        for template in TEMPLATES:
            key = f"{name} fold {fold}, '{template}'"
            table[key] = accuracy(
                classifier, embeddings, labels, dataset.CLASSES, template
            )
            print(f"{key:50s}{100 * table[key]:6.1f} %")
    if options.output:
        Path(options.output).write_text(json.dumps(table, indent=2) + "\n")


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--esc50_fold", type=int, default=4)
    parser.add_argument("--urbansound_fold", type=int, default=1)
    parser.add_argument("--model", help="a classifier's folder instead of mini")
    parser.add_argument("--only", nargs="*", help="ESC-50: only these classes' clips")
    parser.add_argument("--output", help="a JSON file")
    options = parser.parse_args()
    return exit_code(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
