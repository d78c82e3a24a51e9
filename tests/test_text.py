"""The text tower: any sentence to a unit vector, the same every time."""

import copy

import pytest
import torch

from speechbrain_lmac.testing import random_classifier

SENTENCES = [
    "a dog barking",
    "rain",
    "the wind blows and a church bell rings while someone snores",
]


@pytest.fixture(scope="module")
def tower():
    tower = random_classifier().text
    torch.manual_seed(0)
    torch.nn.init.normal_(tower.positions.data)  # zero before training
    return tower


def test_unit_vectors(tower):
    out = tower(SENTENCES)
    assert out.shape == (3, 32)
    assert (out.norm(dim=1) - 1).abs().max() < 1e-6
    sentence = tower.sentence_embedding(tower.tokenize(SENTENCES))
    assert (sentence.norm(dim=1) - 1).abs().max() < 1e-6


def test_padding_changes_nothing(tower):
    """A short sentence beside a long one gives what it gives alone."""
    together = tower(SENTENCES)
    alone = torch.cat([tower([sentence]) for sentence in SENTENCES])
    assert (together - alone).abs().max() < 1e-6


def test_order_of_sentences_and_words(tower):
    out = tower(SENTENCES)
    assert torch.allclose(tower(SENTENCES[::-1]), out.flip(0), atol=1e-6)
    turned = tower(["barking dog a"])
    assert (turned - out[:1]).abs().max() > 1e-3  # no bag of words


def test_case_and_spaces_do_not_matter(tower):
    assert torch.equal(tower(["  A Dog BARKING \n"]), tower(["a dog barking"]))


@pytest.mark.parametrize(
    "sentence", ["", " ", "日本語", "\U0001f415", "zzzqqq", "\x00"]
)
def test_any_text_has_a_vector(tower, sentence):
    out = tower([sentence, "rain"])
    assert out.isfinite().all() and abs(float(out[0].norm()) - 1) < 1e-6


def test_long_text_is_cut(tower):
    long = "the wind blows and a church bell rings " * 50
    ids = tower.tokenize([long, "rain"])
    assert ids.shape == (2, tower.max_tokens)
    assert torch.equal(tower([long]), tower([long + "rain"]))


def test_zero_is_only_padding(tower):
    ids = tower.tokenize(SENTENCES)
    lengths = (ids != 0).sum(1)
    for row, length in zip(ids, lengths, strict=True):
        assert (row[:length] != 0).all() and (row[length:] == 0).all()
    assert len(set(lengths.tolist())) > 1
    assert int(ids.max()) < tower.pieces.get_piece_size()


def test_gradients_reach_every_weight(tower):
    tower = copy.deepcopy(tower).requires_grad_(True)
    weight = torch.randn(3, 32)
    (tower(SENTENCES) * weight).sum().backward()
    silent = [n for n, p in tower.named_parameters() if not p.grad.abs().sum() > 0]
    assert not silent
