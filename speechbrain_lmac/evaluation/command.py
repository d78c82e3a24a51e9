"""The command line of the sanity checks, and where their results go.

    python -m speechbrain_lmac.evaluation.CHECK hparams/evaluate.yaml --data_folder DIR

takes the yaml of an evaluation, with overrides as ``evaluate.py`` does, and writes into
the folder ``sanity`` of its results: values as ``CHECK.csv``, their summary as
``CHECK.md``, figures as PNG and PDF. What a check has defaults of its own for (``main``
names them: methods, clips, folds, domains) counts as an option: the yaml's values of
those are for ``evaluate.py``.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import ruamel.yaml
import speechbrain as sb
import torch
from ruamel.yaml.error import YAMLError
from speechbrain.utils.distributed import infer_device

from speechbrain_lmac import __version__, atomic
from speechbrain_lmac.errors import ConfigError, exit_code
from speechbrain_lmac.evaluation import figures, rendering, runner, settings, tables
from speechbrain_lmac.evaluation.study import Study
from speechbrain_lmac.settings import load_settings

_TOLD = "interpreter dataset folds clips template domains methods scale seed".split()


@dataclass
class Command:
    """What was asked for.

    Arguments
    ---------
    hparams_file : str
        The yaml.
    named : dict of str to str
        Further arguments ``NAME=WHAT``.
    overrides : dict
        Of the yaml's values.
    device : str
        Where models run.
    """

    hparams_file: str
    named: dict
    overrides: dict
    device: str = "cpu"

    def __post_init__(self):
        self.hparams = load_settings(self.hparams_file, self.overrides)
        self.folder = Path(self.hparams["output_folder"]) / "sanity"

    def study(self, **overrides):
        """The study of the yaml, with further overrides."""
        hparams = load_settings(self.hparams_file, self.overrides | overrides)
        return Study.from_settings(hparams, self.device)

    def results(self, **overrides):
        """Rows of an evaluation with further overrides; what is there is not redone.

        Arguments
        ---------
        **overrides
            Among them ``output_folder``.

        Returns
        -------
        pandas.DataFrame
            ``results.csv``.
        """
        import pandas as pd

        overrides = self.overrides | overrides
        hparams = load_settings(self.hparams_file, overrides)
        options = {"device": self.device}
        runner.evaluate(hparams, self.hparams_file, options, overrides)
        return pd.read_csv(Path(hparams["output_folder"]) / "results.csv")

    def write(self, name, values, summary, drawn, notes, told=_TOLD):
        """Writes the results of a check.

        Arguments
        ---------
        name : str
            Of the csv and the md.
        values : pandas.DataFrame
            For the csv.
        summary : list of Table
            For the md.
        drawn : dict of str to matplotlib.figure.Figure
            By name.
        notes : sequence of str
            Below the tables.
        told : sequence of str
            Settings that are written below the notes.

        Returns
        -------
        None
        """
        atomic.write(self.folder / f"{name}.csv", values.to_csv(index=False))
        known = self.hparams | {"folds": settings.folds(self.hparams)}
        told = ", ".join(f"{key} {known[key]}" for key in told)
        made = f"speechbrain-lmac {__version__}, torch {torch.__version__}; {told}."
        parts = [*map(rendering.markdown, summary), *notes, made]
        atomic.write(self.folder / f"{name}.md", "\n\n".join(parts) + "\n")
        for stem, figure in drawn.items():
            figures.save(figure, self.folder / stem)
        print(f"{self.folder / name}.md")

    def cell(self, values):
        """Mean and 95 % interval of values, as text."""
        samples, seed = self.hparams["bootstrap_samples"], self.hparams["seed"]
        return tables.mean_cell(values, samples, seed)

    def figure_cell(self, figure, rows):
        """A figure of rows and its 95 % interval over clips, as text."""
        samples, seed = self.hparams["bootstrap_samples"], self.hparams["seed"]
        return tables.figure_cell(figure, rows, samples, seed)


def run(check, arguments, **defaults):
    """A check as a command.

    Arguments
    ---------
    check : callable
        Takes a :class:`Command`.
    arguments : list of str
        The yaml, perhaps ``NAME=WHAT`` several times, SpeechBrain's run options, and
        overrides.
    **defaults
        Overrides where the command line has none.

    Returns
    -------
    int
        Exit code: 0, or 2 after bad input, which is told in one line.
    """
    named = list(itertools.takewhile(lambda a: not a.startswith("-"), arguments[1:]))
    options = arguments[:1] + arguments[1 + len(named) :]
    hparams_file, run_opts, overrides = sb.parse_arguments(options)
    device = run_opts.get("device") or infer_device()

    def action():
        """The check itself."""
        given = defaults | _overrides(overrides)
        if "conditions" in given:
            raise ConfigError("conditions: checks are made of the clips as they are")
        check(Command(hparams_file, _named(named), given, device))

    return exit_code(action, run_opts.get("debug"))


def _overrides(text):
    """SpeechBrain's overrides by name."""
    try:
        return dict(ruamel.yaml.YAML().load(settings.quoted_template(text)) or {})
    except YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"options: {reason}; check their brackets") from error


def _named(arguments):
    """``NAME=WHAT`` by name."""
    named = {}
    for argument in arguments:
        name, equals, what = argument.partition("=")
        if not (name and equals and what) or name in named:
            raise ConfigError(f"'{argument}': give each as NAME=FILE, each name once")
        named[name] = what
    return named
