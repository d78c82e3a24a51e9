"""What a command says of what is not the fault of the code."""

import errno
import os

import pytest

from speechbrain_lmac.errors import ConfigError, exit_code


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
