"""A classifier for tests and examples: the real thing in small, with random weights."""

import functools
import io

import torch

from speechbrain_lmac.classifiers.mini import MiniCLAP

_SENTENCES = (
    "a dog barking in the rain",
    "the wind blows and a church bell rings",
    "this is the sound of a helicopter",
    "someone snores while a clock ticks",
    "quick brown foxes jump over vexing lazy whizzing puppies",
)


@functools.cache
def _vocabulary():
    """A SentencePiece model of a few sentences, serialised."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_SENTENCES),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def random_classifier(seed=0):
    """A :class:`~speechbrain_lmac.classifiers.mini.MiniCLAP` that has learned nothing.

    It takes milliseconds to make and to run, and keeps everything that others rely on:
    the front end, four maps at the usual strides, unit vectors.

    Arguments
    ---------
    seed : int
        Another seed gives another classifier; the global random state stays as it is.

    Returns
    -------
    MiniCLAP

    Example
    -------
    >>> classifier = random_classifier()
    >>> classifier.embed_text(["rain", "a dog barking"]).shape
    torch.Size([2, 32])
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MiniCLAP(
            _vocabulary(),
            audio={
                "channels": (8, 8, 16, 16),
                "blocks": (1, 1, 1, 1),
                "embedding_dim": 32,
            },
            text={
                "width": 16,
                "token_width": 8,
                "layers": 1,
                "sentence_dim": 16,
                "embedding_dim": 32,
            },
        )
