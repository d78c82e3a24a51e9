"""Classifiers and decoders on disk: safetensors, plain JSON, and a harmless yaml.

An exported interpreter is a folder with ``hyperparams.yaml`` and
``decoder.safetensors``; the embedded classifier is a folder with ``classifier.json``,
``classifier.safetensors``, ``vocabulary.model`` and ``SHA256SUMS``. Weights are float16
on disk and float32 in memory. Loading executes nothing that the files bring: see
``safe_yaml``; no pickle is read.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import torch

from speechbrain_lmac import __version__, atomic, safe_yaml, weights
from speechbrain_lmac.errors import CheckpointError, ConfigError
from speechbrain_lmac.masking import Masking

PRETRAINED = Path(__file__).parent / "pretrained"

MINI_FILES = ("classifier.json", "classifier.safetensors", "vocabulary.model")
_SETTINGS = ("masking_law", "mask_floor_db")


class Export(NamedTuple):
    """What an exported folder holds."""

    classifier: torch.nn.Module
    decoder: torch.nn.Module
    settings: dict  # masking_law, mask_floor_db


def export(folder, decoder, classifier, settings):
    """Writes a folder that ``load`` and ``LMACZSInterpreter.from_hparams`` take.

    Each file is written whole or not at all. Classifier and decoder are written down
    by their class and their ``arguments``, so a classifier of your own stays where it
    is; the decoder's file knows the fingerprint of the classifier.

    Arguments
    ---------
    folder : str | Path
        Made if it is not there.
    decoder : MaskDecoder
        Its weights go into the folder.
    classifier : ZeroShotClassifier
        That the decoder was trained for; one that can be built from plain values.
    settings : dict
        ``masking_law`` and ``mask_floor_db``.

    Returns
    -------
    None
    """
    if set(settings) != set(_SETTINGS):
        raise ConfigError(f"settings {sorted(settings)}: give {', '.join(_SETTINGS)}")
    state = weights.half(decoder.state_dict())
    # one entry, since safetensors writes several in random order
    about = {
        "classifier": weights.fingerprint(classifier),
        "decoder": weights.digest(state),
        "version": __version__,
    }
    metadata = {"speechbrain_lmac": json.dumps(about)}
    lines = ["# LMAC-ZS interpreter; LMACZSInterpreter.from_hparams(FOLDER) loads it."]
    lines += [f"classifier: !new:{_address(classifier)}"]
    lines += [f"    {k}: {json.dumps(v)}" for k, v in classifier.arguments.items()]
    lines += [f"decoder: !new:{_address(decoder)}", "    classifier: !ref <classifier>"]
    lines += [f"    {k}: {json.dumps(v)}" for k, v in decoder.arguments.items()]
    lines += [f"{key}: {json.dumps(settings[key])}" for key in _SETTINGS]
    folder = Path(folder)
    atomic.write(folder / "decoder.safetensors", weights.serialise(state, metadata))
    atomic.write(folder / "hyperparams.yaml", "\n".join(lines) + "\n")


def load(folder, device="cpu", classifier=None):
    """Builds what ``export`` wrote.

    Arguments
    ---------
    folder : str | Path
        With ``hyperparams.yaml`` and ``decoder.safetensors``.
    device : str
        Where classifier and decoder go.
    classifier : ZeroShotClassifier, optional
        The one that the decoder was trained for, in place of the one that the yaml
        names; the only way for a class from outside this package.

    Returns
    -------
    Export
        Both in evaluation mode. ConfigError for a yaml that names anything but this
        package's classes; CheckpointError for weights that are missing, damaged or
        trained for another classifier. Both name file and remedy in one line.
    """
    file = Path(folder, "hyperparams.yaml")
    given = {} if classifier is None else {"classifier": classifier}
    parts = safe_yaml.read(file, given)
    keys = {"classifier", "decoder", *_SETTINGS}
    if set(parts) != keys:
        wrong = ", ".join(sorted(set(parts) ^ keys))
        raise ConfigError(f"{file}: missing or unknown keys ({wrong}); export it again")
    classifier, decoder = parts.pop("classifier"), parts.pop("decoder")
    for name, value in (("classifier", classifier), ("decoder", decoder)):
        if not isinstance(value, torch.nn.Module):
            raise ConfigError(f"{file}: {name} is not a model; export it again")
    try:
        Masking(1.0, parts["mask_floor_db"], parts["masking_law"])
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}; or export it again") from error
    tensors = Path(folder, "decoder.safetensors")
    metadata, state = weights.read(tensors)
    try:
        about = dict(json.loads(metadata.get("speechbrain_lmac", "{}")))
    except (TypeError, ValueError):
        about = {}
    if about.get("decoder") != weights.digest(state):
        raise CheckpointError(f"{tensors}: damaged; {weights.REMEDY}")
    if about.get("classifier") != weights.fingerprint(classifier):
        raise CheckpointError(
            f"{tensors}: trained for another classifier than that of {file.name}; "
            "name the right one there, or train a decoder for this one"
        )
    weights.fill(decoder, state, tensors)
    return Export(classifier.to(device), decoder.to(device).eval(), parts)


def save_mini(classifier, folder):
    """Writes the weights of a ``MiniCLAP`` for ``Mini(folder)``.

    Each file is written whole or not at all, and the checksums last.

    Arguments
    ---------
    classifier : MiniCLAP
        Trained.
    folder : str | Path
        Made if it is not there; other files in it stay.

    Returns
    -------
    None
    """
    settings = classifier.settings | {"temperature": float(classifier.temperature)}
    contents = (
        json.dumps(settings, indent=2) + "\n",
        weights.serialise(weights.half(classifier.state_dict())),
        classifier.text.pieces.serialized_model_proto(),
    )
    folder = Path(folder)
    for name, data in zip(MINI_FILES, contents, strict=True):
        atomic.write(folder / name, data)
    sums = [f"{_sha256(folder / name)}  {name}\n" for name in MINI_FILES]
    atomic.write(folder / "SHA256SUMS", "".join(sums))


def load_mini(folder):
    """Reads what ``save_mini`` wrote, after its checksums have been compared.

    Arguments
    ---------
    folder : str | Path
        As given to ``save_mini``.

    Returns
    -------
    dict, dict
        Arguments of ``MiniCLAP``, and its state. CheckpointError, in one line, names
        a file that is missing or damaged.
    """
    folder = Path(folder)
    remedy = "install the package or copy the folder again"
    try:
        listed = (folder / "SHA256SUMS").read_text().split()
        for name in MINI_FILES:
            if listed[listed.index(name) - 1] != _sha256(folder / name):
                raise CheckpointError(f"{folder / name}: damaged; {remedy}")
    except OSError as error:
        path, reason = error.filename, error.strerror
        raise CheckpointError(f"{path}: cannot be read ({reason}); {remedy}") from error
    except ValueError as error:
        raise CheckpointError(f"{folder / 'SHA256SUMS'}: damaged; {remedy}") from error
    settings = json.loads((folder / "classifier.json").read_text())
    settings["vocabulary"] = (folder / "vocabulary.model").read_bytes()
    return settings, weights.read(folder / "classifier.safetensors")[1]


def _sha256(file):
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _address(model):
    """Where the class of a model is, as ``!new:`` takes it."""
    return f"{type(model).__module__}.{type(model).__name__}"
