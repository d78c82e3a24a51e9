"""The tokenizer of RoBERTa: from a folder or the hub, and no other in its place."""

import json
import re
from pathlib import Path

from speechbrain_lmac import hub
from speechbrain_lmac.errors import CheckpointError, ConfigError

_FILES = ["tokenizer.json", "vocab.json", "merges.txt"]
_REMEDY = (
    "download tokenizer.json (or vocab.json and merges.txt) of roberta-base and give "
    "the folder: --tokenizer_folder DIR"
)
_PROBES = ("a dog barking", "rain on a tin roof")


def load_tokenizer(source="roberta-base"):
    """Loads a RoBERTa tokenizer.

    Arguments
    ---------
    source : str | Path
        A folder with ``tokenizer.json``, or ``vocab.json`` and ``merges.txt``; else a
        repository of the Hugging Face hub, which is asked only for what its local cache
        has not.

    Returns
    -------
    transformers.RobertaTokenizerFast
        One that tells sentences apart. ConfigError for a folder without these files,
        CheckpointError for files that are damaged or not RoBERTa's, and for a hub that
        does not answer within seconds; one line each.
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = _from_hub(str(source))
    files = {name for name in _FILES if (folder / name).is_file()}
    if _FILES[0] not in files and not files.issuperset(_FILES[1:]):
        raise ConfigError(f"{folder}: no tokenizer in it; {_REMEDY}")
    from transformers import RobertaTokenizerFast

    try:
        tokenizer = RobertaTokenizerFast.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the class that the package tokenizers itself raises
        raise CheckpointError(f"{folder}: damaged tokenizer; {_REMEDY}") from error
    fault = _fault(tokenizer)
    if fault:
        raise CheckpointError(f"{folder}: not RoBERTa's tokenizer, {fault}; {_REMEDY}")
    return tokenizer


def located(source):
    """A source that :func:`load_tokenizer` finds again from any working directory.

    Arguments
    ---------
    source : str | Path
        As there.

    Returns
    -------
    str
        The whole path of a folder; the name of a repository as it is.
    """
    folder = Path(source)
    return str(folder.absolute()) if folder.is_dir() else str(source)


def _fault(tokenizer):
    """What shows that a tokenizer is not the one that the text network knows."""
    # where it finds no vocabulary, transformers gives five tokens without an error
    if len(tokenizer) <= 1000:
        return f"it has {len(tokenizer)} tokens"
    first, second = (tokenizer(prompt).input_ids for prompt in _PROBES)
    if first == second or (first[0], first[-1]) != (0, 2):  # <s> and </s>
        return f"it reads '{_PROBES[0]}' as {first}"
    # all tokens are merges but for 256 bytes and some special ones; without its merges
    # words fall to pieces
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    merges = len(model.get("merges", ()))
    if merges + 300 < len(tokenizer):
        return f"it has {len(tokenizer)} tokens and {merges} merges"
    return None


def _from_hub(repository):
    """The folder in the hub's cache with the tokenizer of a repository."""
    if not re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", repository):
        raise ConfigError(f"{repository}: no such folder; {_REMEDY}")
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repository, _FILES[0])
    if isinstance(cached, str):
        return Path(cached).parent
    return hub.fetch(repository, _FILES, _REMEDY)
