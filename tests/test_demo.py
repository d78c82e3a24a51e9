"""The demonstration: two sounds that are known, and what is said of their mixture."""

import json
import re

import pytest

from speechbrain_lmac import LMACZSInterpreter, audio, demo
from speechbrain_lmac.data import synth
from speechbrain_lmac.testing import random_interpreter

RATE = 16000


def ratio_db(estimate, source):
    """SI-SDR: what of an estimate lies along its source, over all else."""
    along = (estimate @ source) / (source @ source) * source
    return 10 * ((along @ along) / (estimate - along).square().sum()).log10()


def test_the_sources_sum_to_the_file(tmp_path):
    first, second = demo.make_mixture(tmp_path / "deep" / "mixture.wav", RATE)
    mixture = audio.read(tmp_path / "deep" / "mixture.wav", RATE)
    assert mixture.shape == first.shape == (5 * RATE,)
    assert (first + second - mixture).abs().max() < 1e-4  # 16 bits
    assert mixture.abs().max() == pytest.approx(0.5, abs=1e-4)
    assert float(first.norm()) == pytest.approx(float(second.norm()), rel=1e-4)
    for source, prompt, seed in zip((first, second), demo.PROMPTS, (3, 4), strict=True):
        name = prompt.removeprefix("the sound of a ")
        alone = synth.synthesise(name, 10**9 + seed, sample_rate=RATE)
        assert ratio_db(source, alone) > 40  # the same but for its level


def test_what_is_explained_is_written_and_told(tmp_path):
    table = demo.explain(random_interpreter(), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"mixture.wav", "explanation.png", "explanation"}
    assert (tmp_path / "explanation.png").read_bytes()[:4] == b"\x89PNG"
    summary = json.loads((tmp_path / "explanation" / "summary.json").read_text())
    sources = demo.make_mixture(tmp_path / "again.wav", RATE)
    mixture = audio.read(tmp_path / "mixture.wav", RATE)
    head, *rows = table.splitlines()
    assert "closer to source" in head and len(rows) == 2
    told = zip(rows, demo.PROMPTS, summary["explanations"], sources, strict=True)
    for row, prompt, entry, source in told:
        assert row.startswith(f"{prompt}  ") and entry["prompt"] == prompt
        kept = audio.read(tmp_path / "explanation" / entry["files"]["waveform"], RATE)
        figures = [float(x) for x in re.findall(r"-?\d+\.\d+", row)]
        similarity = [entry["similarity"][x] for x in head.split()[1:5]]
        assert figures[:4] == pytest.approx(similarity, abs=0.006)
        assert figures[4] == pytest.approx(entry["mask_mean"], abs=0.006)
        gain = ratio_db(kept, source) - ratio_db(mixture, source)
        assert figures[5] == pytest.approx(gain.item(), abs=0.06)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command; gives its exit code and what it said."""

    def call(*options):
        monkeypatch.setattr("sys.argv", ["demo", "--out", str(tmp_path), *options])
        return demo.main(), capsys.readouterr()

    return call


def test_both_decoders_are_shown(run, tmp_path, monkeypatch):
    monkeypatch.setattr(LMACZSInterpreter, "from_hparams", lambda model: f"<{model}>")
    monkeypatch.setattr(demo, "explain", lambda model, folder: f"{model} in {folder}")
    code, said = run("--trained", "export")
    shown = {"<mini>": "shipped", "<export>": "trained"}
    told = [f"{model} in {tmp_path / folder}" for model, folder in shown.items()]
    assert code == 0 and [x for x in said.out.splitlines() if x[0:1] == "<"] == told
    assert run()[1].out.count("explained by") == 1


def test_a_decoder_that_is_not_there_is_one_line(run, monkeypatch):
    monkeypatch.setattr(demo, "explain", lambda *given: "")
    code, said = run("--trained", "nowhere")
    (line,) = said.err.splitlines()
    assert code == 2 and line.startswith("error: nowhere: no such folder")


def test_a_file_in_place_of_the_folder_is_one_line(run, tmp_path, monkeypatch):
    model = random_interpreter()
    monkeypatch.setattr(LMACZSInterpreter, "from_hparams", lambda name: model)
    (tmp_path / "file").touch()
    code, said = run("--out", str(tmp_path / "file"))
    (line,) = said.err.splitlines()
    assert code == 2 and f"{tmp_path}/file/shipped: Not a directory; choose" in line
