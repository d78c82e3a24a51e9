"""The text tower of `mini`: the same seed gives the same weights, bit for bit."""

import torch

SENTENCES = [f"{a} {b}" for a in ("a dog", "rain", "wind") for b in ("barks", "falls")]
HPARAMS = {
    "vocabulary_size": 18,
    "text_width": 16,
    "token_width": 16,
    "embedding_dim": 4,
    "text_steps": 5,
    "text_batch": 3,
    "text_lr": 0.001,
}


def test_text_tower_follows_its_seed(recipe):
    targets = torch.nn.functional.normalize(torch.randn(len(SENTENCES), 384), dim=-1)

    def weights(seed):
        torch.manual_seed(1)
        hparams = HPARAMS | {"seed": seed}
        train = recipe("train_text").train_text_tower
        return train(SENTENCES, targets, hparams).state_dict()

    first, again, other = weights(1), weights(1), weights(2)
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
