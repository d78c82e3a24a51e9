"""Weights: what tells them apart, how they stand in a safetensors file, and back."""

import hashlib

import torch

from speechbrain_lmac.errors import CheckpointError

REMEDY = "copy it again, or train and export again"


def fingerprint(module):
    """What tells one set of weights from another.

    Arguments
    ---------
    module : torch.nn.Module
        On any device.

    Returns
    -------
    str
        SHA-256 over the names, types, shapes and bytes of its state, as 64 digits.

    Example
    -------
    >>> layer = torch.nn.Linear(2, 3)
    >>> before = fingerprint(layer)
    >>> _ = torch.nn.init.zeros_(layer.bias)
    >>> len(before), fingerprint(layer) == before
    (64, False)
    """
    return digest(module.state_dict())


def fill(module, state, file):
    """Gives a module the weights that were read from a file.

    Arguments
    ---------
    module : torch.nn.Module
        Takes them in its own number format.
    state : dict
        Tensors by name.
    file : str | Path
        To be named in a CheckpointError, where names or shapes are not the module's.

    Returns
    -------
    None
    """
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    given = {name: value.shape for name, value in state.items()}
    wrong = sorted(n for n in shapes | given if shapes.get(n) != given.get(n))
    if wrong:
        raise CheckpointError(
            f"{file}: does not fit the model, {len(wrong)} weights are missing, too "
            f"many or of another shape, such as {wrong[0]}; use the settings that it "
            "was trained with"
        )
    module.load_state_dict(state)


def digest(state):
    """SHA-256 of named tensors.

    Arguments
    ---------
    state : dict
        Tensors by name, on any device; their order does not matter.

    Returns
    -------
    str
        64 digits.
    """
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()


def half(state):
    """Floats in half precision, but for a tensor that would overflow.

    Arguments
    ---------
    state : dict
        Tensors by name, on any device.

    Returns
    -------
    dict
        The same names; contiguous, on the CPU.
    """
    half = {}
    for name, value in state.items():
        value = value.detach().cpu().contiguous()
        small = value.half() if value.is_floating_point() else value
        half[name] = small if small.isfinite().all() else value
    return half


def serialise(state, metadata=None):
    """The bytes of a safetensors file.

    Arguments
    ---------
    state : dict
        Contiguous tensors by name, on the CPU.
    metadata : dict, optional
        Strings by name.

    Returns
    -------
    bytes
    """
    from safetensors.torch import save

    return save(state, metadata)


def read(file):
    """Metadata and tensors of a safetensors file.

    Arguments
    ---------
    file : str | Path
        Named in a CheckpointError, where it is missing or damaged.

    Returns
    -------
    dict, dict
        Strings by name, and tensors by name.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as opened:
            state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            return opened.metadata() or {}, state
    except FileNotFoundError as error:
        raise CheckpointError(f"{file}: no such file; {REMEDY}") from error
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file}: damaged; {REMEDY}") from error
