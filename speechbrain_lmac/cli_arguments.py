"""What is typed after ``lmac-zs``, and what of it is refused."""

import os
from pathlib import Path
from typing import Annotated

import typer

from speechbrain_lmac.errors import ConfigError


def as_text(word: str):
    """A word that was typed; as a path, a blank one would be the current folder.

    Arguments
    ---------
    word : str
        As it was typed.

    Returns
    -------
    str
        The same. ConfigError for a blank one.
    """
    if not str(word).strip():
        raise ConfigError(
            "an argument is blank; name a file, a folder, a model or a device"
        )
    return word


def as_path(word: str):
    """The path that was typed.

    Arguments
    ---------
    word : str
        As it was typed.

    Returns
    -------
    Path
        ConfigError for a blank one.
    """
    return Path(as_text(word))


# Whether there are files and prompts is checked here, for errors with a remedy.
Prompts = Annotated[
    list[str] | None,
    typer.Option(
        "--prompts",
        "-p",
        help="What to listen for: sentences, all up to the next option.",
        metavar="TEXT...",
    ),
]
Model = Annotated[
    str,
    typer.Option(
        help="mini, a folder that train.py exported, or a hub repository id.",
        parser=as_text,
        metavar="TEXT",
    ),
]
Device = Annotated[
    str,
    typer.Option(help="Where to run: cpu, or cuda:0.", parser=as_text, metavar="TEXT"),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def spread(arguments):
    """Gives each prompt an option of its own, since one takes one value.

    Arguments
    ---------
    arguments : list of str
        As they were typed.

    Returns
    -------
    list of str
        ``--prompts`` before each word that follows it, up to the next option or ``--``.

    Example
    -------
    >>> spread(["x.wav", "--prompts", "a dog", "rain", "--out", "y"])
    ['x.wav', '--prompts', 'a dog', '--prompts', 'rain', '--out', 'y']
    """
    result, inside = [], False
    for word in arguments:
        if word in ("--prompts", "-p"):
            inside = True
        elif word.startswith("-"):
            inside = False
            result.append(word)
        else:
            result += ["--prompts", word] if inside else [word]
    return result


def check_prompts(prompts):
    """Refuses prompts that are none, before the model is waited for.

    Arguments
    ---------
    prompts : list of str or None
        As they were typed.

    Returns
    -------
    None
        ConfigError for none, a blank one, or the name of a recording.
    """
    if not prompts or not all(prompt.strip() for prompt in prompts):
        raise ConfigError(
            "a prompt is blank or none is given; name sounds, such as --prompts 'rain'"
        )
    for prompt in prompts:
        if Path(prompt).suffix and os.path.isfile(prompt):
            raise ConfigError(
                f"{prompt}: a file, given as a prompt; name recordings before --prompts"
            )
