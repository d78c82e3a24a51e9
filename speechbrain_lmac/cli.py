"""``lmac-zs``: explanations from the shell."""

import io
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from speechbrain_lmac import __version__
from speechbrain_lmac.audio_file import SUFFIXES
from speechbrain_lmac.cli_arguments import (
    Debug,
    Device,
    Model,
    Prompts,
    as_path,
    check_prompts,
    spread,
)
from speechbrain_lmac.errors import AudioInputError, ConfigError, UserError

# plain errors: one line each, also where nobody looks at a terminal
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool):
    if wanted:
        typer.echo(f"lmac-zs {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version."
        ),
    ] = False,
):
    """Listenable maps for zero-shot audio classifiers."""


@app.command()
def explain(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILES", help="Recordings, or folders of them.", parser=as_path
        ),
    ] = None,
    prompts: Prompts = None,
    out: Annotated[
        Path,
        typer.Option(
            help="A folder; each recording gets one of its own in it.",
            parser=as_path,
            metavar="PATH",
        ),
    ] = Path("explanations"),
    model: Model = "mini",
    device: Device = "cpu",
    debug: Debug = False,
):
    """Write what in a recording fits each prompt: sounds, pictures, a summary.

    lmac-zs explain clip.wav --prompts "a dog barking" "rain" --out DIR
    """
    from tqdm import tqdm

    recordings = _recordings(files, out)
    check_prompts(prompts)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{out}: cannot be written ({error.strerror}); choose another folder"
        ) from error
    interpreter = _interpreter(model, device)
    failed = []
    progress = tqdm(recordings.items(), unit="file", disable=len(recordings) == 1)
    for name, path in progress:
        try:
            with warnings.catch_warnings(record=True) as notes:
                warnings.simplefilter("always", UserWarning)
                explanation = interpreter.interpret_file(path, prompts)
            summary = explanation.save(out / name)
            del explanation  # not held while the next one is made
        except UserError as error:
            if debug:
                raise
            failed.append(str(path))
            progress.write(f"lmac-zs: {error}", file=sys.stderr)
            continue
        for note in notes:
            progress.write(f"lmac-zs: {note.message}", file=sys.stderr)
        progress.write(_report(path, out / name, summary))
    if failed:
        if len(recordings) > 1:
            count = f"{len(failed)} of {len(recordings)} recordings failed"
            typer.echo(f"lmac-zs: {count}: {', '.join(failed)}", err=True)
        raise typer.Exit(1 if len(failed) < len(recordings) else 2)


@app.command()
def classify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A recording.", parser=as_path)
    ],
    prompts: Prompts = None,
    model: Model = "mini",
    device: Device = "cpu",
    debug: Debug = False,
):
    """Print how probable each prompt is among those given.

    lmac-zs classify clip.wav --prompts "a dog barking" "rain"
    """
    check_prompts(prompts)
    interpreter = _interpreter(model, device)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        probabilities = interpreter.classify_file(file, prompts).tolist()
    for note in notes:
        typer.echo(f"lmac-zs: {note.message}", err=True)
    table = zip(probabilities, prompts or [], strict=True)
    for share, prompt in sorted(table, reverse=True):
        typer.echo(f"{100 * share:5.1f} %  {prompt}")


def main(arguments=None):
    """Entry point of the console script.

    Arguments
    ---------
    arguments : list of str, optional
        Instead of those of the command line.

    Returns
    -------
    None
        It leaves by SystemExit: 0, 1 where some of several recordings failed, or 2
        for bad input, which is named in one line unless ``--debug`` is given.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if isinstance(sys.stdout, io.TextIOWrapper):  # names and prompts may be of any kind
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(spread(arguments))
    except UserError as error:
        if "--debug" in arguments:
            raise
        typer.echo(f"lmac-zs: {error}", err=True)
        sys.exit(2)


def _interpreter(model, device):
    from speechbrain_lmac.interpreter import LMACZSInterpreter

    return LMACZSInterpreter.from_hparams(model, run_opts={"device": device})


def _recordings(files, out):
    """Files, and those in folders, by the name that each gets below ``out``."""
    if not files:
        raise ConfigError(
            "no recording given; name files before --prompts, which takes all words up "
            "to the next option"
        )
    from speechbrain_lmac.explanation import saved_in

    # os.path, since what cannot be reached is told of when its turn comes
    real, found = os.path.realpath, {}
    for path in files:
        inside = [path]
        if os.path.isdir(path):
            summaries = path.rglob("summary.json")
            ours = {
                x.parent / name for x in summaries for name in saved_in(x.parent)[0]
            }
            inside = [
                file
                for file in sorted(path.rglob("*"))
                if file.suffix.lower() in SUFFIXES
                and not file.name.startswith(".")
                and file not in ours
            ]
            if not inside:
                kinds = ", ".join(SUFFIXES)
                raise AudioInputError(f"{path}: no {kinds} file in it; check the path")
        found.update({real(file): file for file in inside})
    named = {}
    for file in found.values():
        name, number = file.stem, 1
        # some file systems do not tell upper from lower case
        while name.casefold() in map(str.casefold, named) or (
            real(saved_in(out / name)[1] or file) != real(file)
        ):
            number += 1
            name = f"{file.stem}-{number}"
        named[name] = file
    return named


def _report(path, folder, summary):
    """What was found, in a line for each prompt."""
    lines = [f"{path} -> {folder}"]
    for entry in summary["explanations"]:
        numbers = entry["similarity"]
        lines.append(
            f"  {entry['prompt']}: similarity {numbers['before']:.2f}, "
            f"explanation {numbers['heard']:.2f}, rest {numbers['removed']:.2f}, "
            f"energy kept {100 * entry['energy_kept']:.0f} %"
        )
    return "\n".join(lines)
