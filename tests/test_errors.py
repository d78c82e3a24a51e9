"""What a command says of what is not the fault of the code."""

import errno
import os
from pathlib import Path

import pytest

from speechbrain_lmac import atomic
from speechbrain_lmac.errors import ConfigError, exit_code
from speechbrain_lmac.evaluation.journal import Journal


def failing(error):
    def action():
        raise error

    return action


def of_the_disk(number, *file):
    return OSError(number, os.strerror(number), *file)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigError("seed is x: give a number"), "error: seed is x: give a number\n"),
        (
            of_the_disk(errno.ENOSPC, "out/a.wav"),
            "error: out/a.wav: No space left on device; make room",
        ),
        (of_the_disk(errno.ENOSPC), "error: a file: No space left on device"),
        (of_the_disk(errno.EACCES, "out"), "error: out: Permission denied"),
        (of_the_disk(errno.ENOTDIR, "a/b"), "error: a/b: Not a directory; choose"),
        (of_the_disk(errno.EEXIST, "out"), "error: out: File exists; choose another"),
    ],
)
def test_one_line_and_exit_code_2(capsys, error, said):
    assert exit_code(failing(error)) == 2
    told = capsys.readouterr().err
    assert told.startswith(said) and told.count("\n") == 1
    with pytest.raises(type(error)):
        exit_code(failing(error), debug=True)


@pytest.mark.parametrize(
    "error", [of_the_disk(errno.ENOENT, "x"), OSError("no tokens")]
)
def test_other_errors_are_faults(error):
    with pytest.raises(OSError):
        exit_code(failing(error))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_names_the_file(tmp_path, capsys, monkeypatch, call):
    """Where the system names none, and where it names the temporary one."""

    def full(*paths):
        raise of_the_disk(errno.ENOSPC, *paths[:1] if call == "replace" else ())

    monkeypatch.setattr(os, call, full)
    file = tmp_path / "table.md"
    assert exit_code(lambda: atomic.write(file, "whole")) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {file}: No space left on device; make room")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    other = of_the_disk(errno.EACCES, "other.csv")
    with pytest.raises(PermissionError) as error, atomic.opened(tmp_path / "a"):
        raise other
    assert error.value.filename == "other.csv"
    with pytest.raises(OSError, match=r"^no tokens$"), atomic.opened(tmp_path / "a"):
        raise OSError("no tokens")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
@pytest.mark.parametrize(
    "make", [Journal, lambda folder: atomic.write(folder / "a", "")]
)
def test_a_folder_that_cannot_be_made(capsys, make):
    folder = Path("/proc/none/journal")
    assert exit_code(lambda: make(folder)) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {folder}: cannot be made (")
    assert told.endswith("; choose another folder\n") and told.count("\n") == 1
