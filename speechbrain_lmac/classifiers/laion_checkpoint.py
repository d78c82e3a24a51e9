"""Checkpoints of LAION-CLAP: what is in the file is known before a network is built.

The published files (https://huggingface.co/lukewys/laion_clap, CC0-1.0) are pickles of
``{"epoch", "name", "state_dict", "optimizer"}`` from ``laion_clap.training.main``:
names begin with ``module.``, the text branch has a buffer that newer versions of
transformers do not know, and the optimizer holds the learning rate as a NumPy scalar.
They are read by ``torch.load(weights_only=True)``, which runs nothing that they bring.
"""

import hashlib
import pickle
import struct
import zipfile
from pathlib import Path

import torch

from speechbrain_lmac.classifiers.laion_shapes import ARCHITECTURES, identify, shapes
from speechbrain_lmac.errors import CheckpointError, ConfigError

# File, architecture and SHA-256 as the hub shows it for lukewys/laion_clap. The pages
# that were seen give the sums of music_speech_*; and those of 630k-best and
# 630k-audioset-fusion-best under the names that these files had before they were
# renamed; copies elsewhere of all six agree. None was found for 630k-fusion-best.
PUBLISHED = {
    "630k-best.pt": (
        "HTSAT-tiny",
        "e02951eae3c9955db546c50086059e6457188ec39446858f2bddbcb4b56b1cb3",
    ),
    "630k-audioset-best.pt": (
        "HTSAT-tiny",
        "8053c9775516af2f4902e1e8281e356cc1bf7a85e8b761908170767b77c3f037",
    ),
    "630k-audioset-fusion-best.pt": (
        "HTSAT-tiny with fusion",
        "fb171dd9b608aebdac3d89286cd7615c5100af4cc7dc37797c7fb8d3cc15e3a5",
    ),
    "music_audioset_epoch_15_esc_90.14.pt": (
        "HTSAT-base",
        "fae3e9c087f2909c28a09dc31c8dfcdacbc42ba44c70e972b58c1bd1caf6dedd",
    ),
    "music_speech_epoch_15_esc_89.25.pt": (
        "HTSAT-base",
        "a27dfbd00d96781020d83044136f084343edab799d2657ef3cfe5c4f2222bb28",
    ),
    "music_speech_audioset_epoch_15_esc_89.98.pt": (
        "HTSAT-base",
        "51c68f12f9d7ea25fdaaccf741ec7f81e93ee594455410f3bca4f47f88d8e006",
    ),
}

_WHERE = "https://huggingface.co/lukewys/laion_clap"
_POSITIONS = "text_branch.embeddings.position_ids"


class _Ignored:
    """Stands for NumPy's scalars and dtypes: the learning rate, which nobody reads."""

    def __init__(self, *args):
        pass

    def __setstate__(self, state):
        pass


# by the names that NumPy 1 and 2 write; nothing of NumPy is run
_NUMPY = [
    (_Ignored, "numpy.core.multiarray.scalar"),
    (_Ignored, "numpy._core.multiarray.scalar"),
    (_Ignored, "numpy.dtype"),
]


# What 6,000 pickles with flipped bytes raised: a pickle is a program.
_DAMAGE = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


def read_checkpoint(path, architecture, sha256=None):
    """Reads the weights of a LAION-CLAP with RoBERTa.

    Arguments
    ---------
    path : str | Path
        A published ``.pt``, one that ``laion_clap`` trained, or its plain state dict as
        ``.pt`` or ``.safetensors``. A pickle is mapped into memory, so that the file
        should not be overwritten while its weights are in use.
    architecture : str
        "HTSAT-tiny", "HTSAT-base" or "PANN-14", without fusion.
    sha256 : str, optional
        What the file's checksum must be; by default the published one, if the file has
        the name of a published one.

    Returns
    -------
    dict
        Tensors under the names of ``laion_clap``, such as ``audio_branch.bn0.weight``,
        all that its network has and no others. CheckpointError says in one line what
        the file looks like when it is not that.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ConfigError(f"architecture '{architecture}' is unknown; give {known}")
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; download one from {_WHERE}")
    _compare(path, sha256)
    read = _read_safetensors if path.suffix == ".safetensors" else _read_pickle
    state = _clean(read(path), path)
    found, wanted = {n: tuple(v.shape) for n, v in state.items()}, shapes(architecture)
    wrong = sorted(n for n in found | wanted if found.get(n) != wanted.get(n))
    if wrong:
        looks = identify(found)
        if looks == architecture:
            raise CheckpointError(
                f"{path}: looks like {looks}, but {len(wrong)} weights are missing, "
                f"too many or of another shape, such as {wrong[0]!r}; download it again"
            )
        remedy = f"give a checkpoint of {architecture}{_examples(architecture)}"
        if looks in ARCHITECTURES:
            remedy += f", or set the architecture to {looks}"
        raise CheckpointError(
            f"{path}: looks like {looks}, not {architecture}; {remedy}"
        )
    return state


def _compare(path, sha256):
    """Refuses a file whose checksum is not what was given or published."""
    _, published = PUBLISHED.get(path.name, (None, None))
    expected = sha256 or published
    if expected is None:
        return
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != expected.lower():
        whose = "the given" if sha256 else "the published"
        raise CheckpointError(
            f"{path}: SHA-256 {digest[:12]}... is not {whose} {expected[:12]}...; "
            "download it again, or rename it if it is your own"
        )


def _read_pickle(path):
    """What ``torch.save`` wrote, by the unpickler that runs nothing."""
    try:
        with torch.serialization.safe_globals(_NUMPY):
            # mapped: a third of a published file is weights, the rest is never read
            mapped = zipfile.is_zipfile(path)
            return torch.load(path, "cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds something else than weights, or is no checkpoint; download "
            f"one from {_WHERE}"
        ) from error
    except _DAMAGE as error:
        raise CheckpointError(
            f"{path}: truncated or damaged; download it again"
        ) from error


def _read_safetensors(path):
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: truncated or damaged; download it again"
        ) from error


def _clean(content, path):
    """The state dict in what was read, under its plain names."""
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    named = isinstance(state, dict) and all(isinstance(name, str) for name in state)
    if not state or not named or not all(map(torch.is_tensor, state.values())):
        raise CheckpointError(
            f"{path}: no state dict in it; download a checkpoint from {_WHERE}"
        )
    state = {name.removeprefix("module."): value for name, value in state.items()}
    state.pop(_POSITIONS, None)  # a row of counting numbers
    return state


def _examples(architecture):
    names = [name for name, (kind, _) in PUBLISHED.items() if kind == architecture]
    return f", such as {names[-1]}" if names else ""
