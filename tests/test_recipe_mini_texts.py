"""The sentences from which the recipe of the embedded classifier learns."""

import json
import random
from pathlib import Path

import pytest
import torch

from speechbrain_lmac.data import esc50, urbansound8k
from speechbrain_lmac.testing import random_classifier

# ---- sentences.py ----


def test_every_class_has_phrases(recipe):
    captions, same = recipe("sentences").class_captions(), recipe("clips").SAME
    names = [same.get(c, c) for c in (*esc50.CLASSES, *urbansound8k.CLASSES)]
    assert {*names, "silence"} == captions.keys()
    file = Path(recipe("sentences").__file__).with_name("captions.json")
    stored = json.loads(file.read_text())
    for name, phrases in captions.items():
        assert phrases == [name, *stored[name]]
        assert len(set(phrases)) >= 3, name
        assert all(p == p.strip() and p and "{" not in p for p in phrases), name
    everything = [p for phrases in captions.values() for p in set(phrases)]
    assert len(set(everything)) == len(everything)  # no phrase for two classes


def test_templates(recipe):
    sentences = recipe("sentences")
    assert sentences.TEMPLATES[0] == random_classifier().prompt_template
    assert all(t.count("{}") == 1 for t in sentences.TEMPLATES)
    assert all(t.count("{}") == 2 for t in sentences.PAIRS)


@pytest.fixture
def texts(tmp_path):
    """Tiny copies of what the corpus is made of."""
    numbered = ",".join(f"caption_{k}" for k in range(1, 6))
    for split, word in (("development", "Dogs"), ("validation", "Cats")):
        path = tmp_path / "Clotho" / f"clotho_captions_{split}.csv"
        path.parent.mkdir(exist_ok=True)
        five = ",".join(f'"{word} {k}, then rain and wind"' for k in range(1, 6))
        path.write_text(f"file_name,{numbered}\na.wav,{five}\n")
    (tmp_path / "AudioCaps").mkdir()
    for split in ("train", "val"):
        path = tmp_path / "AudioCaps" / f"{split}.csv"
        path.write_text(f"audiocap_id,caption\n1, A bell in {split} \n2,Rain\n")
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "yamnet_class_map.csv").write_text(
        'index,mid,display_name\n0,/m/0,Speech\n1,/m/1,"Child speech, kid speaking"\n'
    )
    vocabulary = tmp_path / "tokenizers" / "bert-base-uncased" / "vocab.txt"
    vocabulary.parent.mkdir(parents=True)
    vocabulary.write_text("[PAD]\n!\nthe\nof\ndog\n##ing\ncafé\nrain\nwind\n")
    return tmp_path


def test_corpus_parts(recipe, texts):
    sentences = recipe("sentences")
    captions = sentences.read_captions(texts)
    assert len(captions) == 2 * 5 + 2 * 2
    assert captions[0] == "Dogs 1, then rain and wind"
    assert captions[-1] == "Rain"
    names = ["Speech", "Child speech, kid speaking"]
    assert sentences.audioset_names(texts) == names
    assert sentences.words(texts) == ["the", "dog", "rain", "wind"]
    assert sentences.words(texts, count=2) == ["the", "dog"]


def test_corpus(recipe, texts):
    corpus = recipe("sentences").corpus(texts, seed=0)
    assert corpus == recipe("sentences").corpus(texts, seed=0)
    assert corpus != recipe("sentences").corpus(texts, seed=1)
    assert len(set(corpus)) == len(corpus)
    assert all(s and s == s.lower().strip() for s in corpus)
    for sentence in (
        "a bell in train",  # a caption
        "dogs 1",  # its first clause
        "child speech, kid speaking",  # a name of the teacher
        "this is the sound of child speech",  # its first word in a template
        "this is the sound of crying baby",
        "a recording of a dog barking",
        "wind",
    ):
        assert sentence in corpus, sentence


# ---- phrases.py ----


class Tower:
    """Embeds a sentence as its number among all that it has seen."""

    def __init__(self):
        self.seen = {}

    def tokenize(self, sentences):
        return [self.seen.setdefault(s, len(self.seen)) for s in sentences]

    def sentence_embedding(self, numbers):
        return torch.tensor(numbers, dtype=torch.float32).unsqueeze(1)

    def sentences(self, vectors):
        known = list(self.seen)
        return [known[int(v)] for v in vectors.squeeze(1)]


def test_phrase_bank_rows(recipe):
    names = ["rain", "dog", "silence"]
    tower = Tower()
    bank = recipe("phrases").PhraseBank(names, tower, seed=0)
    sentences = recipe("sentences")
    captions = sentences.class_captions()
    assert [r.start for r in bank.rows][1:] == [r.stop for r in bank.rows][:-1]
    assert bank.rows[-1].stop == len(bank.vectors)
    for name, rows in zip(names, bank.rows, strict=True):
        wanted = [t.format(p) for p in captions[name] for t in sentences.TEMPLATES]
        assert tower.sentences(bank.vectors[list(rows)]) == wanted
        assert wanted[0] == f"this is the sound of {name}"


def test_phrase_bank_draws(recipe):
    names = ["rain", "dog", "silence"]
    tower = Tower()
    bank = recipe("phrases").PhraseBank(names, tower, seed=0)
    first = [f"this is the sound of {name}" for name in names]
    papers, seen = 0, set()
    for _ in range(300):
        drawn = bank.classes()
        assert len(drawn) == 3
        for number, rows in zip(drawn[:, 0].tolist(), bank.rows, strict=True):
            assert number in rows
        texts = tower.sentences(drawn)
        papers += sum(a == b for a, b in zip(texts, first, strict=True))
        seen |= set(texts)
    assert 0.25 < papers / 900 < 0.4 and len(seen) > 60


def test_phrase_bank_captions(recipe):
    names = ["rain", "dog", "silence"]
    tower, sentences = Tower(), recipe("sentences")
    bank = recipe("phrases").PhraseBank(names, tower, seed=0)
    rain, dog, _ = bank.phrases
    single = {t.format(p) for t in sentences.TEMPLATES for p in dog}
    one = {t.format(a, b) for t in sentences.PAIRS for a in rain for b in dog}
    other = {t.format(b, a) for t in sentences.PAIRS for a in rain for b in dog}
    orders = set()
    for _ in range(40):
        alone, both = tower.sentences(bank.captions([1, 0], [-1, 1]))
        assert alone in single and both in one | other
        orders.add(both in one)
    assert orders == {True, False}


def test_phrase_bank_follows_its_seed(recipe):
    def draws(seed):
        tower = Tower()
        bank = recipe("phrases").PhraseBank(["rain", "dog"], tower, seed)
        random.seed(0)  # the global state has no say
        return [tower.sentences(bank.captions([0], [1])) for _ in range(5)]

    assert draws(3) == draws(3) != draws(4)
