"""The tokenizer of RoBERTa: from a folder or the hub, and no other in its place."""

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
    transformers.RobertaTokenizer
        One that tells sentences apart. ConfigError for a folder without these files,
        CheckpointError for files without a vocabulary and for a hub that does not
        answer within seconds; one line each.
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = _from_hub(str(source))
    files = {name for name in _FILES if (folder / name).is_file()}
    if _FILES[0] not in files and not files.issuperset(_FILES[1:]):
        raise ConfigError(f"{folder}: no tokenizer in it; {_REMEDY}")
    from transformers import RobertaTokenizer

    try:
        tokenizer = RobertaTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: damaged tokenizer; {_REMEDY}") from error
    first, second = (tokenizer(probe).input_ids for probe in _PROBES)
    # where it finds no vocabulary, transformers gives five tokens without an error
    if len(tokenizer) <= 1000 or first == second:
        raise CheckpointError(
            f"{folder}: a tokenizer of {len(tokenizer)} tokens, which cannot tell "
            f"sentences apart; {_REMEDY}"
        )
    return tokenizer


def _from_hub(repository):
    """The folder in the hub's cache with the tokenizer of a repository."""
    if not re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", repository):
        raise ConfigError(f"{repository}: no such folder; {_REMEDY}")
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repository, _FILES[0])
    if isinstance(cached, str):
        return Path(cached).parent
    return hub.fetch(repository, _FILES, _REMEDY)
