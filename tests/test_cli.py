"""The command line: what it writes, and how it leaves when something is wrong."""

import io
import json
import os
import re
import subprocess
import sys

import pytest
import soundfile
import torch

from speechbrain_lmac import __version__, audio, checkpoint, cli
from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.cli_arguments import spread
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.errors import UserError
from speechbrain_lmac.testing import random_classifier

SETTINGS = {"masking_law": "log", "mask_floor_db": -68}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An exported folder with random weights."""
    root = tmp_path_factory.mktemp("exported")
    checkpoint.save_mini(random_classifier(), root / "classifier")
    classifier = Mini(root / "classifier")
    decoder = MaskDecoder(classifier, width=16, fine_width=8)
    checkpoint.export(root / "model", decoder, classifier, SETTINGS)
    return str(root / "model")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs a command in an empty folder; gives its exit code and what it said."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            cli.main([str(x) for x in arguments])
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    return call


@pytest.fixture
def wav(tmp_path):
    return sound(tmp_path / "clip.wav")


def sound(path, seconds=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, 0.1 * torch.randn(round(seconds * 16000)), 16000)
    return path


def one_line(text):
    lines = text.splitlines()
    assert len(lines) == 1 and lines[0].startswith("lmac-zs: "), text
    return lines[0]


# ---- prompts ----


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["-p", "a", "b"], ["--prompts", "a", "--prompts", "b"]),
        (["--prompts", "a", "--prompts", "b"], ["--prompts", "a", "--prompts", "b"]),
        (["--prompts", "a", "--", "b"], ["--prompts", "a", "--", "b"]),
        (["--prompts", "a", "--debug", "b"], ["--prompts", "a", "--debug", "b"]),
        (["--prompts=-a", "b"], ["--prompts=-a", "b"]),
        (["--prompts", ""], ["--prompts", ""]),
        ([], []),
    ],
)
def test_spread(typed, meant):
    assert spread(typed) == meant


@pytest.mark.parametrize(
    "options",
    [
        ["clip.wav", "--prompts", "a dog barking", "rain", "--out", "out"],
        ["clip.wav", "--out", "out", "--prompts", "a dog barking", "rain"],
        ["--prompts", "a dog barking", "rain", "--out", "out", "clip.wav"],
        ["--prompts", "a dog barking", "rain", "--out=out", "--", "clip.wav"],
        ["clip.wav", "-p", "a dog barking", "-p", "rain", "--out", "out"],
    ],
)
def test_explain(run, wav, model, options):
    code, out, err = run("explain", "--model", model, *options)
    assert code == 0 and not err
    folder = wav.parent / "out" / "clip"
    summary = json.loads((folder / "summary.json").read_text())
    prompts = [e["prompt"] for e in summary["explanations"]]
    assert prompts == ["a dog barking", "rain"]
    assert summary["source"] == "clip.wav"
    for entry in summary["explanations"]:
        for name in entry["files"].values():
            assert (folder / name).stat().st_size > 1000
        assert re.search(rf"  {entry['prompt']}: similarity -?\d\.\d\d", out)
    assert str(folder.relative_to(wav.parent)) in out


def test_silence_is_classified_with_a_warning(run, tmp_path, model):
    audio.write(tmp_path / "x.wav", torch.zeros(16000), 16000)
    given = ("--model", model, "-p", "rain", "wind")
    code, out, err = run("classify", tmp_path / "x.wav", *given)
    assert code == 0 and len(out.splitlines()) == 2
    (line,) = err.splitlines()
    assert line.endswith("x.wav: silent, so this says nothing")


def test_classify(run, wav, model):
    (wav.parent / "rain").touch()  # named as a prompt is, but no recording
    code, out, err = run(
        "classify", wav, "--model", model, "-p", "rain", "a dog", "wind"
    )
    assert code == 0 and not err
    shares = [float(line.split("%")[0]) for line in out.splitlines()]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert {line.split("%  ")[1] for line in out.splitlines()} == {
        "rain",
        "a dog",
        "wind",
    }


# ---- many files ----


def test_every_recording_gets_a_folder(run, tmp_path, model):
    files = [sound(tmp_path / name) for name in ("a/x.wav", "b/x.wav", "b/X.flac")]
    sound(tmp_path / "c" / "x-2.wav")
    sound(tmp_path / "c" / "deep" / "y.ogg")
    (tmp_path / "c" / "notes.txt").write_text("no sound")
    (tmp_path / "c" / "._y.wav").write_text("what a Mac leaves behind")
    code, out, _ = run(
        *("explain", *files, files[0], "c", "--prompts", "rain"),
        *("--out", "out", "--model", model),
    )
    assert code == 0
    folders = {p.name: p for p in (tmp_path / "out").iterdir()}
    assert set(folders) == {"x", "x-2", "X-3", "x-2-2", "y"}
    sources = {
        name: json.loads((p / "summary.json").read_text())["source"]
        for name, p in folders.items()
    }
    assert sources["x"] == str(files[0]) and sources["x-2"] == str(files[1])
    assert out.count(" -> ") == 5


def test_output_is_no_input(run, tmp_path, model):
    sound(tmp_path / "x.wav")
    command = ("explain", ".", "-p", "rain", "--out", "out", "--model", model)
    assert run(*command)[0] == run(*command)[0] == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["x"]


def test_sounds_of_other_runs_are_no_input(run, tmp_path, model):
    sound(tmp_path / "x.wav")
    for out in ("first", "second", "."):
        command = ("explain", ".", "-p", "rain", "--out", out, "--model", model)
        code, said, _ = run(*command)
        assert code == 0 and said.count(" -> ") == 1


def test_another_recording_of_that_name_gets_another_folder(run, tmp_path, model):
    first, second = sound(tmp_path / "a" / "x.wav"), sound(tmp_path / "b" / "x.wav")
    common = ("-p", "rain", "--out", "out", "--model", model)
    for files in ([first], [second], [first], [os.path.relpath(second), first]):
        assert run("explain", *files, *common)[0] == 0
    sources = {
        p.name: json.loads((p / "summary.json").read_text())["source"]
        for p in (tmp_path / "out").iterdir()
    }
    assert sources == {"x": str(first), "x-2": os.path.relpath(second)}


def test_a_name_that_is_not_utf8(run, wav, model):
    other = wav.rename(wav.with_name(os.fsdecode(b"caf\xe9.wav")))
    code, out, err = run("explain", other, "-p", "rain", "--out", "o", "--model", model)
    assert code == 0 and not err and "caf\\udce9.wav -> " in out
    folder = wav.parent / "o" / other.stem
    assert json.loads((folder / "summary.json").read_text())["source"] == str(other)


def test_prompts_that_the_terminal_does_not_know(run, wav, model, monkeypatch):
    screen = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", screen)
    for command in ("classify", "explain"):
        assert run(command, wav, "--model", model, "-p", "雨")[0] == 0
        screen.flush()
        said = screen.buffer.getvalue().decode("latin-1")
        assert said.count("\\u96e8") == 1 + (command == "explain")


def test_some_fail_and_the_rest_is_written(run, tmp_path, model):
    first, last = sound(tmp_path / "1.wav"), sound(tmp_path / "4.wav")
    text, cut = tmp_path / "2.wav", sound(tmp_path / "3.wav")
    text.write_text("this is a letter")
    cut.write_bytes(cut.read_bytes()[:9000])
    code, out, err = run(
        *("explain", first, text, cut, tmp_path / "none.wav", last),
        *("--prompts", "rain", "--out", "out", "--model", model),
    )
    assert code == 1
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"1", "4"}
    said = [line for line in err.splitlines() if line.startswith("lmac-zs: ")]
    assert len(said) == 4 and "Traceback" not in err
    for line, path in zip(said, (text, cut, tmp_path / "none.wav"), strict=False):
        assert str(path) in line and path.name in said[-1]
    assert "3 of 5 recordings failed" in said[-1]
    assert out.count(" -> ") == 2


def test_a_full_disk_costs_one_recording(tmp_path, model):
    long, short = sound(tmp_path / "1.wav", 40.0), sound(tmp_path / "2.wav")
    code = f"""if True:
        import resource, signal
        from speechbrain_lmac.cli import main

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
        files = [{str(long)!r}, {str(short)!r}]
        main(["explain", *files, "-p", "rain", "--out", "out", "--model", {model!r}])
    """
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    said = [x for x in ended.stderr.splitlines() if x.startswith("lmac-zs: ")]
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert len(said) == 2 and "cannot be written (File too large)" in said[0]
    assert "1 of 2 recordings failed" in said[1]
    written = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert len(written) == 5 and {p.parent.name for p in written} == {"2"}


def test_what_cannot_be_reached_costs_one_recording(run, tmp_path, model, monkeypatch):
    """A name that is too long, a loop of links, a folder that may not be entered."""
    good, locked = sound(tmp_path / "good.wav"), tmp_path / "locked" / "x.wav"
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    stat = os.stat

    def guarded(path, *arguments, **options):  # root may enter everything
        if str(path) == str(locked):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", guarded)
    bad = [tmp_path / ("x" * 300 + ".wav"), tmp_path / "loop.wav", locked]
    command = ("explain", *bad, good, "-p", "rain", "--out", "out", "--model", model)
    code, out, err = run(*command)
    said = [line for line in err.splitlines() if line.startswith("lmac-zs: ")]
    assert code == 1 and out.count(" -> ") == 1 and "Traceback" not in err
    assert "3 of 4 recordings failed" in said.pop()
    for line, path in zip(said, bad, strict=True):
        assert str(path) in line and "cannot be reached" in line


def test_all_fail(run, tmp_path, model):
    code, out, err = run("explain", "a.wav", "b.wav", "-p", "rain", "--model", model)
    assert code == 2 and not out and "2 of 2 recordings failed" in err


def test_silence_is_said(run, tmp_path, model):
    soundfile.write(tmp_path / "quiet.wav", [0.0] * 16000, 16000)
    code, out, err = run("explain", "quiet.wav", "-p", "rain", "--model", model)
    assert code == 0 and "energy kept 0 %" in out
    assert "quiet.wav: silent" in one_line(err)
    assert (tmp_path / "explanations" / "quiet" / "01-rain.wav").exists()


# ---- bad input ----


@pytest.mark.parametrize("command", ["explain", "classify"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["clip.wav"], "a prompt is blank or none is given"),
        (["clip.wav", "--prompts"], "a prompt is blank or none is given"),
        (["clip.wav", "-p", "rain", " "], "a prompt is blank or none is given"),
        (["clip.wav", "-p", "x", "clip.wav"], "clip.wav: a file, given as a prompt"),
        (["", "-p", "x"], "an argument is blank"),
        (["clip.wav", "-p", "x", "--model", ""], "an argument is blank"),
        (["clip.wav", "-p", "x", "--device="], "an argument is blank"),
        (["clip.wav", "-p", "x", "--model", "nowhere"], "nowhere: no such folder"),
        (["clip.wav", "-p", "x", "--model", "no/where"], "no/where: no such folder"),
        (["clip.wav", "-p", "x", "--model", "."], "hyperparams.yaml: cannot be read"),
        (["clip.wav", "-p", "x", "--device", "toaster"], "device 'toaster'"),
        (["none.wav", "-p", "x", "--model", "MODEL"], "none.wav: no such file"),
        (["text.wav", "-p", "x", "--model", "MODEL"], "text.wav: cannot be read as"),
    ],
)
def test_bad_input(run, wav, model, command, arguments, expected):
    (wav.parent / "text.wav").write_text("this is a letter")
    arguments = [model if x == "MODEL" else x for x in arguments]
    code, out, err = run(command, *arguments)
    assert code == 2 and not out
    assert expected in one_line(err)
    with pytest.raises(UserError, match=re.escape(expected)):
        cli.main([command, *arguments, "--debug"])


def test_bad_input_of_explain(run, wav, model):
    (wav.parent / "empty").mkdir()
    for arguments, expected in [
        (["empty", "-p", "rain"], "empty: no .wav"),
        (["--prompts", "rain", "clip.wav"], "name files before --prompts"),
        (["clip.wav", "-p", "x", "--out", ""], "an argument is blank"),
        # before the model is looked for
        (["clip.wav", "-p", "x", "--out", "clip.wav", "--model", "no"], "cannot be wr"),
        (["clip.wav", "-p", "x", "--out", "clip.wav/o", "--model", "no"], "cannot be"),
    ]:
        code, _, err = run("explain", *arguments)
        assert code == 2 and expected in one_line(err)


def test_nothing_of_the_user_is_lost(run, tmp_path, model):
    mine = sound(tmp_path / "out" / "clip" / "original.wav", seconds=2)
    before = mine.read_bytes()
    clip = sound(tmp_path / "clip.wav")
    code, _, err = run("explain", clip, "-p", "x", "--out", "out", "--model", model)
    assert code == 2 and "original.wav" in one_line(err)
    assert mine.read_bytes() == before


# ---- help ----


def test_help_and_version(run):
    code, out, _ = run("--help")
    assert code == 0 and "explain" in out and "classify" in out
    assert run("--version")[1] == f"lmac-zs {__version__}\n"
    code, out, _ = run("explain", "--help")
    options = ("--prompts", "--out", "--model", "--device", "--debug")
    assert code == 0 and all(option in out for option in options)


def test_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from speechbrain_lmac.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'speechbrain', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
