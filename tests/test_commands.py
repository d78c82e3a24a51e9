"""The commands as they are typed, and what a yaml makes of its overrides."""

import math
import pkgutil
import re
import runpy
import sys
from pathlib import Path

import pytest

from speechbrain_lmac import checkpoint, settings
from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.mixing import SceneObjective
from speechbrain_lmac.pairing import PaperObjective
from speechbrain_lmac.testing import random_classifier

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ["train.py", "evaluate.py"]


@pytest.fixture
def script(monkeypatch, capsys):
    """Runs a script of this folder; gives its exit code and the errors it told."""

    def call(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(ROOT / name), run_name="__main__")
        return left.value.code, capsys.readouterr().err.splitlines()

    return call


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_yaml_that_is_not_there(script, tmp_path, name):
    for path, reason in (
        (tmp_path / "none.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        code, said = script(name, path)
        assert code == 2
        assert said == [f"error: {path}: cannot be used ({reason}); check the path"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_its_own_yaml_with_a_misspelled_key(script, name):
    yaml = {"train.py": "lmac_zs_mini", "evaluate.py": "evaluate"}[name]
    code, said = script(name, ROOT / "hparams" / f"{yaml}.yaml", "--sed=2")
    assert code == 2
    assert "has no 'sed' to override; did you mean 'seed'?" in said[-1]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_is_imported_does_nothing(name):
    assert callable(runpy.run_path(str(ROOT / name))["run"])


@pytest.fixture(scope="module")
def lmac_zs():
    """What setup.py makes the console script call."""
    (entry,) = re.findall(r"lmac-zs = ([\w.:]+)", (ROOT / "setup.py").read_text())
    return pkgutil.resolve_name(entry)


@pytest.mark.parametrize("command", ["explain", "classify"])
def test_an_option_that_there_is_not(lmac_zs, capsys, command):
    with pytest.raises(SystemExit) as left:
        lmac_zs([command, "x.wav", "--nonsense"])
    said = capsys.readouterr()
    assert left.value.code == 2 and not said.out
    assert said.err.startswith("Usage: ") and f"{command} --help" in said.err
    assert "No such option: --nonsense" in said.err.splitlines()[-1]


# ---- overrides ----


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    """The folder of a tiny classifier."""
    folder = tmp_path_factory.mktemp("mini")
    checkpoint.save_mini(random_classifier(), folder)
    return str(folder)


def loaded(mini, **overrides):
    given = {"classifier_folder": mini, **overrides}
    return settings.load_settings(ROOT / "hparams" / "lmac_zs_mini.yaml", given)


def test_the_loss_is_chosen_by_name(mini):
    hparams = loaded(mini)
    assert isinstance(settings.chosen_objective(hparams), SceneObjective)
    given = {"masking_domains": ["mel"], "masking_law": "linear"}
    hparams = loaded(mini, loss="paper", **given)
    paper = settings.chosen_objective(hparams)
    assert isinstance(paper, PaperObjective)
    assert [*paper.maskings] == ["mel"] and paper.maskings["mel"].law == "linear"
    assert paper.match == 1
    message = "'eq6' is unknown: choose one of default, paper"
    with pytest.raises(ConfigError, match=message):
        settings.chosen_objective(loaded(mini, loss="eq6"))


def test_an_empty_override_is_refused(script):
    """An unset variable of the shell; null is a choice."""
    for name, yaml in (("train.py", "lmac_zs_mini"), ("evaluate.py", "evaluate")):
        for given in (["--data_folder", ""], ["--output_folder="], ["--seed", "''"]):
            code, said = script(name, ROOT / "hparams" / f"{yaml}.yaml", *given)
            key = given[0].rstrip("=")
            assert code == 2
            assert said == [f"error: {key} is empty: give it a value, or null"]


def test_an_option_that_is_given_twice_is_refused(script):
    for name, yaml in (("train.py", "lmac_zs_mini"), ("evaluate.py", "evaluate")):
        given = ["--data_folder", "a", "--data_folder", "b"]
        code, said = script(name, ROOT / "hparams" / f"{yaml}.yaml", *given)
        assert code == 2
        assert said == ["error: --data_folder is given 2 times: give it once"]


def test_null_is_allowed(mini):
    given = f"data_folder: null\nclassifier_folder: {mini}"
    hparams = settings.load_settings(ROOT / "hparams" / "lmac_zs_mini.yaml", given)
    assert hparams["data_folder"] is None


def test_an_objective_that_there_is_not(mini):
    message = "objectives 'defalt' is unknown: choose one of default, paper"
    with pytest.raises(ConfigError, match=message):
        settings.chosen_objective(loaded(mini, objectives={"defalt": {"l1": 1}}))


@pytest.mark.parametrize("weight", ["match", "l1", "diversity"])
@pytest.mark.parametrize("value", ["abc", [1, 2, 3], math.nan])
def test_weights_of_the_paper_are_numbers(mini, weight, value):
    given = {"loss": "paper", "objectives": {"paper": {weight: value}}}
    with pytest.raises(ConfigError, match=f"{weight} of paper is .*: give a number"):
        settings.chosen_objective(loaded(mini, **given))


@pytest.mark.parametrize("seed", ["x", -1, None, [1]])
def test_a_seed_in_code_is_a_number(mini, seed):
    with pytest.raises(ConfigError, match=r"seed is .*: give a whole number"):
        loaded(mini, seed=seed)


def test_a_seed_may_be_a_reference(mini):
    given = f"seed: !ref <valid_clips>\nclassifier_folder: {mini}"
    hparams = settings.load_settings(ROOT / "hparams" / "lmac_zs_mini.yaml", given)
    assert hparams["seed"] == hparams["valid_clips"]


def test_weights_can_be_overridden(mini):
    hparams = loaded(mini, objectives={"default": {"l1": 3.5}})
    chosen = settings.chosen_objective(hparams)
    as_shipped = settings.chosen_objective(loaded(mini))
    assert chosen.l1 == 3.5 != as_shipped.l1
    assert chosen.match == as_shipped.match  # the others stay
    assert chosen.classifier is hparams["classifier"]


def test_the_yaml_holds_together(mini):
    hparams = loaded(mini, lr=0.125)
    assert hparams["modules"] == {"decoder": hparams["decoder"]}
    assert hparams["opt_class"].keywords["lr"] == 0.125
    assert hparams["lr_annealing"](total_steps=10).initial_lr == 0.125
    assert hparams["templates"][0] == hparams["classifier"].prompt_template
