"""Explanations on disk and as pictures: every prompt, nothing of others lost."""

import errno
import json
import os
import sys

import matplotlib.image
import numpy as np
import pytest
import torch

from speechbrain_lmac import audio
from speechbrain_lmac.errors import ConfigError, UserError

PROMPTS = ["a dog barking", "rain"]
RATE = 16000
HOSTILE = [
    "../../etc/passwd",
    "rain",
    "Rain!",
    "日本語の音",
    "Öl & Wasser: $x^2$ $",
    "word " * 60,
    "CON",
    "a\nb\x00c",
]


def clip(seconds, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(round(seconds * RATE), generator=generator)


def close(a, b, tolerance=1e-5):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= tolerance


@pytest.fixture
def explanation(model):
    return model.interpret_batch(clip(1.5)[None], HOSTILE)[0]


def test_saved_files(explanation, tmp_path):
    folder = tmp_path / "new" / "folder"
    summary = explanation.save(folder)
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert [e["prompt"] for e in summary["explanations"]] == HOSTILE
    written = {"summary.json", "original.wav"}
    for i, entry in enumerate(summary["explanations"]):
        files = entry["files"]
        written |= set(files.values())
        close(audio.read(folder / files["waveform"]), explanation.waveform[i], 1e-4)
        close(audio.read(folder / files["removed"]), explanation.removed[i], 1e-4)
        assert matplotlib.image.imread(folder / files["picture"]).std() > 0.05
        assert entry["mask_mean"] == pytest.approx(float(explanation.mask[i].mean()))
        heard = float(explanation.similarity.heard[i])
        assert entry["similarity"]["heard"] == pytest.approx(heard)
        energy = explanation.waveform[i].square().sum()
        share = float(energy / explanation.original.square().sum())
        assert entry["energy_kept"] == pytest.approx(share, abs=1e-6)
    assert {p.name for p in folder.iterdir()} == written
    assert len(written) == 2 + 3 * len(HOSTILE)
    assert all(len(name) < 80 and name.isascii() for name in written)
    assert summary["duration_seconds"] == 1.5
    assert list(tmp_path.rglob("*")).__len__() == 2 + len(written)  # nothing elsewhere


def test_saving_again_replaces_only_what_was_saved(model, tmp_path):
    model.interpret_batch(clip(1)[None], "rain")[0].save(tmp_path)
    (other,) = model.interpret_batch(clip(1, seed=5)[None], "rain")
    other.save(tmp_path)
    close(audio.read(tmp_path / "original.wav"), other.original, 1e-4)


def contents(folder):
    return {p.name: p.is_file() and p.read_bytes() for p in folder.iterdir()}


def named(folder):
    """The files that the summary in a folder speaks of."""
    summary = json.loads((folder / "summary.json").read_text())
    files = [name for e in summary["explanations"] for name in e["files"].values()]
    return {"summary.json", summary["original"], *files}


def test_an_explanation_gives_way_to_the_next_one_alone(model, tmp_path):
    (tmp_path / "01-my-notes.wav").write_text("mine")
    for prompts in ("a dog", ["rain", "wind"], "a dog", "rain"):
        model.interpret_batch(clip(0.5)[None], prompts)[0].save(tmp_path)
        assert set(contents(tmp_path)) == named(tmp_path) | {"01-my-notes.wav"}
    assert (tmp_path / "01-my-notes.wav").read_text() == "mine"


@pytest.mark.parametrize("writes", range(8))  # of which one explanation needs five
def test_a_break_while_writing_costs_nothing(model, tmp_path, monkeypatch, writes):
    first, second = (
        model.interpret_batch(clip(0.5, seed)[None], prompt)[0]
        for seed, prompt in enumerate(("a dog", "rain"))
    )
    first.save(tmp_path)
    before, fsync, done = contents(tmp_path), os.fsync, []

    def full(handle):
        if len(done) == writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done.append(fsync(handle))

    monkeypatch.setattr(os, "fsync", full)
    if writes < 5:
        with pytest.raises(ConfigError, match=r"No space left on device.*; choose"):
            second.save(tmp_path)
        assert contents(tmp_path) == before
    else:
        second.save(tmp_path)
        assert len(done) == 5


@pytest.mark.parametrize("steps", range(8))  # 3 are removed and 5 moved
def test_files_are_known_whenever_it_ends(model, tmp_path, monkeypatch, steps):
    first, second = (
        model.interpret_batch(clip(0.5)[None], prompt)[0]
        for prompt in ("a dog", "rain")
    )
    first.save(tmp_path)
    left = iter(range(steps))

    def stopping(change):
        def changed(*paths, **options):
            if os.path.dirname(paths[-1]) == str(tmp_path) and next(left, None) is None:
                raise KeyboardInterrupt
            return change(*paths, **options)

        return changed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stopping(os.replace))
        patch.setattr(os, "unlink", stopping(os.unlink))
        with pytest.raises(KeyboardInterrupt):
            second.save(tmp_path)
    assert set(contents(tmp_path)) <= named(tmp_path)
    first.save(tmp_path)
    assert set(contents(tmp_path)) == named(tmp_path)


def test_what_a_killed_run_left_is_removed(model, tmp_path, monkeypatch):
    (explanation,) = model.interpret_batch(clip(0.5)[None], "rain")
    left = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: left.extend(tmp_path.iterdir()))
        explanation.save(tmp_path)
    (left[0] / "deep").mkdir(parents=True)
    (left[0] / "original.wav").touch()
    (tmp_path / ".mine").mkdir()
    explanation.save(tmp_path)  # it might be that of a run that is under way
    assert left[0].is_dir()
    os.utime(left[0], (0, 0))
    explanation.save(tmp_path)
    assert set(contents(tmp_path)) == named(tmp_path) | {".mine"}


@pytest.mark.parametrize("files", [{"waveform": "../x.wav", "picture": "me.png"}, []])
def test_a_summary_cannot_name_files_of_others(explanation, tmp_path, files):
    folder = tmp_path / "folder"
    folder.mkdir()
    others = [tmp_path / "x.wav", folder / "me.png", folder / "thesis.wav"]
    for file in others:
        file.write_text("mine")
    summary = {"original": "thesis.wav", "explanations": [{"files": files}]}
    (folder / "summary.json").write_text(json.dumps(summary))
    if files:
        explanation.save(folder)
    else:  # no summary of ours
        with pytest.raises(ConfigError, match="no explanation"):
            explanation.save(folder)
    assert all(file.read_text() == "mine" for file in others)


@pytest.mark.parametrize("name", ["original.wav", "02-rain.wav", "summary.json"])
def test_files_of_others_are_never_replaced(explanation, tmp_path, name):
    file = tmp_path / name
    file.write_text("mine")
    with pytest.raises(ConfigError, match=name):
        explanation.save(tmp_path)
    assert file.read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_folder_that_cannot_be_written(explanation, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another folder"):
        explanation.save(tmp_path / "file" / "inside")


def test_silence_is_saved_and_drawn(model, tmp_path):
    with pytest.warns(UserWarning, match="silent"):
        (out,) = model.interpret_batch(torch.zeros(1, 8000), PROMPTS)
    summary = out.save(tmp_path)
    assert [e["energy_kept"] for e in summary["explanations"]] == [0, 0]
    json.dumps(summary, allow_nan=False)


def test_plot(explanation):
    figure = explanation.plot()
    panels = [a for a in figure.axes if a.images and a.get_title()]
    assert len(panels) == 2 * len(HOSTILE)
    assert panels[-1].get_xlabel() == "time (s)"
    assert panels[0].get_ylabel() == "frequency (kHz)"
    left, right, bottom, top = panels[0].images[0].get_extent()
    assert (left, right, bottom, top) == (0, 1.5, 0, 8)
    mask = panels[3].images[0].get_array()
    assert np.allclose(mask, explanation.mask[1].numpy())
    alone = explanation.plot(1)
    assert len([a for a in alone.axes if a.get_title()]) == 2
    assert (
        "matplotlib.pyplot" not in sys.modules
        or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_plot_of_a_long_clip_is_thinned(model):
    (out,) = model.interpret_batch(clip(60)[None], "rain")
    columns = out.plot().axes[0].images[0].get_array().shape[1]
    assert 1000 < columns <= 2000
