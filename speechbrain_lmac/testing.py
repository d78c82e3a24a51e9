"""Classifiers for tests and examples: the real thing, with random weights."""

import functools
import io
import itertools
import json
import string
import tempfile
from pathlib import Path

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


def random_interpreter(seed=0):
    """Explanations by a decoder that has learned nothing, yet is not indifferent.

    Arguments
    ---------
    seed : int
        Of the weights; the global random state stays as it is.

    Returns
    -------
    LMACZSInterpreter
        On the CPU; its masks differ from bin to bin.

    Example
    -------
    >>> (explanation,) = random_interpreter().interpret_batch(
    ...     torch.randn(1, 8000), ["rain"]
    ... )
    >>> bool(explanation.mask.std() > 0.01)
    True
    """
    from speechbrain_lmac.decoder import MaskDecoder
    from speechbrain_lmac.interpreter import LMACZSInterpreter

    classifier = random_classifier(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        decoder = MaskDecoder(classifier, width=16, fine_width=8)
    with torch.no_grad():
        decoder.out.weight.mul_(20)
    modules = {"classifier": classifier, "decoder": decoder}
    settings = {"masking_law": "log", "mask_floor_db": -68}
    return LMACZSInterpreter(modules, settings, {"device": "cpu"})


def write_tokenizer(folder):
    """Writes a tokenizer in the format of RoBERTa's, with a vocabulary of its own.

    Arguments
    ---------
    folder : str | Path
        Gets ``vocab.json`` and ``merges.txt``: all bytes, and words of up to two
        letters.

    Returns
    -------
    int
        The number of tokens.
    """
    from tokenizers.pre_tokenizers import ByteLevel

    space, letters = "\u0120", string.ascii_lowercase
    pairs = [*itertools.product(letters, letters), *((space, x) for x in letters)]
    pairs += [(space, a + b) for a, b in itertools.product(letters, letters)]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet())]
    tokens += [first + second for first, second in pairs]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    folder = Path(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    merges = ["#version: 0.2", *(" ".join(pair) for pair in pairs), ""]
    (folder / "merges.txt").write_text("\n".join(merges), encoding="utf-8")
    return len(vocabulary)


# a RoBERTa of one layer; the audio networks have no small version
_SMALL_TEXT = {
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}


def _experienced(classifier):
    """Gives batch normalisations the statistics of noise that swells over 80 dB."""
    norms = [m for m in classifier.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    noise = torch.randn(1, 48000, generator=torch.Generator().manual_seed(0))
    noise = noise * torch.logspace(-4, 0, 48000)
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        classifier.encode(classifier.stft(noise).abs())
    for norm in norms:
        norm.eval()
        norm.momentum = 0.1
    return classifier


def random_laion(amodel="HTSAT-tiny", seed=0):
    """A LAION CLAP that has learned nothing, with its true audio network.

    Arguments
    ---------
    amodel : str
        "HTSAT-tiny", "HTSAT-base" or "PANN-14".
    seed : int
        Of the weights.

    Returns
    -------
    LaionCLAP
        With a text network of one layer and a tokenizer of its own.
    """
    from speechbrain_lmac.classifiers.laion import LaionCLAP

    with tempfile.TemporaryDirectory() as folder:
        text = _SMALL_TEXT | {"vocab_size": write_tokenizer(folder)}
        text["initializer_range"] = 0.2  # sentences that differ, in so small a network
        classifier = LaionCLAP(amodel, None, folder, text, seed)
    return _experienced(classifier)


def random_hf(seed=0):
    """A ``ClapModel`` of transformers that has learned nothing, as above.

    Arguments
    ---------
    seed : int
        Of the weights.

    Returns
    -------
    HFCLAP
    """
    from safetensors.torch import save_file
    from transformers import ClapConfig, ClapModel

    from speechbrain_lmac.classifiers.hf import HFCLAP

    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        text = _SMALL_TEXT | {"vocab_size": write_tokenizer(folder)}
        torch.manual_seed(seed)
        network = ClapModel(ClapConfig(text_config=text))
        network.config.save_pretrained(folder)
        file = Path(folder) / "model.safetensors"
        save_file(network.state_dict(), file, metadata={"format": "pt"})
        classifier = HFCLAP(folder)
    return _experienced(classifier)


def short_training(folder, sounds=("rain", "siren", "clock tick", "helicopter")):
    """What a training of seconds needs: a tiny classifier, sounds of less than one.

    Arguments
    ---------
    folder : str or Path
        Gets ``mini``, the classifier, and ``ESC-50``, that data set's layout with eight
        clips in its first fold and four in its third.
    sounds : sequence of str
        Classes of :mod:`speechbrain_lmac.data.synth`.

    Returns
    -------
    dict
        Overrides of ``hparams/lmac_zs_mini.yaml``.
    """
    from speechbrain_lmac import audio, checkpoint
    from speechbrain_lmac.data import synth

    folder, rate, seconds = Path(folder), 16000, 0.8
    checkpoint.save_mini(random_classifier(), folder / "mini")
    table = ["filename,fold,category"]
    for fold, copies in ((1, 2), (3, 1)):
        for index, name in enumerate(sounds):
            for copy in range(copies):
                file = f"{fold}-{index}-{copy}.wav"
                sound = synth.synthesise(name, 10 * fold + copy, seconds, rate)
                audio.write(folder / "ESC-50" / "audio" / file, sound, rate)
                table.append(f"{file},{fold},{name.replace(' ', '_')}")
    (folder / "ESC-50" / "meta").mkdir()
    (folder / "ESC-50" / "meta" / "esc50.csv").write_text("\n".join(table) + "\n")
    return {
        "data_folder": str(folder / "ESC-50"),
        "classifier_folder": str(folder / "mini"),
        "clip_seconds": seconds / 2,
        "decoder": "{width: 16, fine_width: 8}",
        "train_folds": [1],
        "train_dataloader_options": "{batch_size: 3}",
        "bank_size": 3,
        "valid_sentences": len(sounds),
        # all sentences of this classifier are alike: no two clips would be mixed
        "objectives": "{default: {alike: 1.1}}",
    }
