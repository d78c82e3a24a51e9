"""The sentences that the text tower of ``mini`` learns from."""

import csv
import itertools
import json
import random
from pathlib import Path

# The paper's prompt first; the others are common in the CLAP literature.
TEMPLATES = (
    "this is the sound of {}",
    "this is a sound of {}",
    "{}",
    "the sound of {}",
    "a recording of {}",
    "i can hear {}",
    "{} can be heard",
    "a sound of {} in the distance",
    "this is {}",
    "an audio clip of {}",
)
# Two sounds at once, or one after the other.
PAIRS = (
    "{} and {}",
    "{} with {} in the background",
    "{} while {} can be heard",
    "this is the sound of {} and {}",
    "the sound of {} mixed with {}",
    "{} followed by {}",
)


def class_captions():
    """Natural phrases of every class: {class name: [phrase, ...]}, the name first."""
    phrases = json.loads(Path(__file__).with_name("captions.json").read_text())
    return {name: [name, *p] for name, p in phrases.items()}


def read_captions(data_folder):
    """Clotho's and AudioCaps' training captions.

    Arguments
    ---------
    data_folder : str or Path
        Holds ``Clotho`` and ``AudioCaps`` with their CSV files.

    Returns
    -------
    list of str
        Captions, in the order of the files.
    """
    data_folder, captions = Path(data_folder), []
    for split in ("development", "validation"):
        path = data_folder / "Clotho" / f"clotho_captions_{split}.csv"
        with open(path, newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                captions += [row[f"caption_{k}"] for k in range(1, 6)]
    for split in ("train", "val"):
        path = data_folder / "AudioCaps" / f"{split}.csv"
        with open(path, newline="", encoding="utf-8") as f:
            captions += [row["caption"] for row in csv.DictReader(f)]
    return captions


def audioset_names(data_folder):
    """The 521 names of the teacher's AudioSet classes, in its order."""
    path = Path(data_folder) / "teacher" / "yamnet_class_map.csv"
    with open(path, newline="", encoding="utf-8") as f:
        return [row["display_name"] for row in csv.DictReader(f)]


def words(data_folder, count=9000):
    """The most frequent whole English words of BERT's vocabulary, which is ordered."""
    path = Path(data_folder) / "tokenizers" / "bert-base-uncased" / "vocab.txt"
    vocabulary = path.read_text(encoding="utf-8").split("\n")
    plain = [w for w in vocabulary if w.isascii() and w.isalpha() and len(w) > 2]
    return plain[:count]


def corpus(data_folder, seed=0):
    """Every sentence that the text tower is trained on.

    Arguments
    ---------
    data_folder : str or Path
        Holds Clotho, AudioCaps, teacher and tokenizers.
    seed : int
        For the drawn combinations of phrases.

    Returns
    -------
    list of str
        Distinct sentences in lower case, in a fixed order.
    """
    draw = random.Random(seed)
    captions = read_captions(data_folder)
    phrases = list(itertools.chain(*class_captions().values()))
    phrases += [n.split(",")[0] for n in audioset_names(data_folder)]
    phrases += audioset_names(data_folder)
    # one clause of a caption is a phrase too: it teaches how short prompts mean
    clauses = [c.split(" and ")[0].split(",")[0] for c in captions[::3]]
    single = words(data_folder)
    out = captions + phrases + clauses + single
    out += [t.format(p) for t in TEMPLATES for p in phrases]
    out += [draw.choice(TEMPLATES).format(w) for w in single]
    out += [draw.choice(PAIRS).format(*draw.sample(phrases, 2)) for _ in range(12000)]
    return list(dict.fromkeys(s.lower().strip() for s in out if s.strip()))
