"""The commands as they are typed: the scripts of this folder, and ``lmac-zs``."""

import pkgutil
import re
import runpy
import sys
from pathlib import Path

import pytest

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
