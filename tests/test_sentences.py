"""Which sentences a step compares with, and how they are drawn."""

import pytest
import torch

from speechbrain_lmac.data.manifests import captions
from speechbrain_lmac.data.seeded import reseed
from speechbrain_lmac.data.sentences import SentenceBank
from speechbrain_lmac.errors import ConfigError


class Embedder:
    """Embeds sentences at random, and remembers which."""

    def __init__(self):
        self.asked, self.vectors = [], {}
        self.draw = torch.Generator().manual_seed(0)

    def embed_text(self, sentences):
        self.asked += sentences
        made = torch.randn(len(sentences), 4, generator=self.draw)
        self.vectors.update(zip(sentences, made, strict=True))
        return made


CELLS = ["rain | it rains | raindrops", "wind", "a dog | barking", "a bell", "snoring"]


def drawn(embedder, bank):
    """The sentences whose vectors are in a bank."""
    return [
        next(s for s, v in embedder.vectors.items() if torch.equal(v, row))
        for row in bank
    ]


def test_a_bank_has_one_sentence_of_a_cell():
    embedder = Embedder()
    sentences = SentenceBank(CELLS, embedder, size=4)
    batch = [CELLS[0], CELLS[2], CELLS[0]]
    seen = set()
    for _ in range(60):
        bank, prompt = sentences.draw(batch)
        texts = drawn(embedder, bank)
        assert len(texts) == len(set(texts)) == 4
        for cell, number in zip(batch, prompt, strict=True):
            assert texts[number] in captions(cell)
        # no sentence beside the prompt says the same thing in other words
        of = [next(c for c in CELLS if text in captions(c)) for text in texts]
        assert len(set(of)) == 4
        assert prompt[0] == prompt[2] != prompt[1]
        seen |= set(texts)
    assert seen == {caption for cell in CELLS for caption in captions(cell)}


def test_each_epoch_draws_one_of_a_clips_captions():
    embedder = Embedder()
    sentences, drawn_first = SentenceBank(CELLS, embedder, size=2), set()
    for epoch in range(30):
        reseed(0, epoch, 0)
        bank, prompt = sentences.draw(CELLS[:1])
        drawn_first.add(drawn(embedder, bank)[prompt[0]])
    assert drawn_first == set(captions(CELLS[0]))


def test_a_bank_is_no_smaller_than_its_batch_and_no_larger_than_its_cells():
    small = SentenceBank(CELLS, Embedder(), size=2)
    assert len(small.draw(CELLS)[0]) == 5
    large = SentenceBank(CELLS, Embedder(), size=64)
    assert len(large.draw(CELLS[:1])[0]) == 5


def test_each_sentence_is_embedded_once():
    embedder = Embedder()
    sentences = SentenceBank(CELLS, embedder, ("{}", "the sound of {}"), size=5)
    for _ in range(40):
        sentences.draw(CELLS[:2])
    assert len(embedder.asked) == len(set(embedder.asked)) == 2 * 8


def test_one_template_a_bank():
    embedder = Embedder()
    sentences = SentenceBank(CELLS, embedder, ("{}", "the sound of {}"), size=5)
    seen = set()
    for _ in range(20):
        texts = drawn(embedder, sentences.draw(CELLS[:2])[0])
        with_template = {text.startswith("the sound of ") for text in texts}
        assert len(with_template) == 1
        seen |= with_template
    assert seen == {True, False}


def test_banks_follow_the_seed():
    embedder = Embedder()
    sentences = SentenceBank(CELLS, embedder, ("{}", "the sound of {}"), size=4)

    def banks(seed):
        torch.manual_seed(seed)
        return [drawn(embedder, sentences.draw(CELLS[:2])[0]) for _ in range(5)]

    first, other = banks(1), banks(2)
    assert banks(1) == first != other


def test_a_cell_that_was_never_seen():
    """Validation may have captions that the training set lacks."""
    embedder = Embedder()
    sentences = SentenceBank(CELLS, embedder, size=3)
    bank, prompt = sentences.draw(["a cat | a cat meows", "wind"])
    texts = drawn(embedder, bank)
    assert texts[prompt[0]] in ("a cat", "a cat meows") and texts[prompt[1]] == "wind"


def test_first():
    embedder = Embedder()
    sentences = SentenceBank(CELLS, embedder, ("sound: {}", "{}"))
    assert drawn(embedder, sentences.first(3)) == [
        "sound: rain",
        "sound: wind",
        "sound: a dog",
    ]


@pytest.mark.parametrize(("cells", "size"), [(CELLS[:1], 64), (CELLS, 1)])
def test_a_prompt_needs_another(cells, size):
    with pytest.raises(ConfigError, match="at least two"):
        SentenceBank(cells, Embedder(), size=size)


def test_any_sign_in_a_caption_reaches_the_sentence():
    said, embedder = "{a} $5 bill, $data_root: 100 % \\n", Embedder()
    bank, _ = SentenceBank([said, "b"], embedder, ("of {}",)).draw([said])
    assert f"of {said}" in drawn(embedder, bank)
