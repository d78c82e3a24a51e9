"""Training from its yaml, end to end, on a few short clips and a tiny classifier."""

import math
import re
import shutil
from pathlib import Path

import pytest
import speechbrain as sb
import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_lmac import LMACZSInterpreter, checkpoint, training, weights
from speechbrain_lmac.brain import LMACZSBrain
from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.metrics import METRICS
from speechbrain_lmac.mixing import SceneObjective
from speechbrain_lmac.pairing import PaperObjective
from speechbrain_lmac.testing import short_training

YAML = str(Path(__file__).resolve().parents[1] / "hparams" / "lmac_zs_mini.yaml")
SOUNDS = ["rain", "siren", "clock tick", "helicopter"]
RATE, SECONDS = 16000, 0.4
SMALL = {}  # overrides, known once the data are there


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A tiny classifier, and ESC-50's layout with two folds of synthesised sounds."""
    folder = tmp_path_factory.mktemp("data")
    SMALL.update(short_training(folder, SOUNDS))
    return folder


def arguments(data, output, *flags, epochs=2, **overrides):
    """The command line of a short training."""
    given = SMALL | {"output_folder": output, "number_of_epochs": epochs} | overrides
    return [YAML, *(f"--{key}={value}" for key, value in given.items()), *flags]


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The output folder of two epochs."""
    output = tmp_path_factory.mktemp("trained") / "run"
    assert training.run(arguments(data, output)) == 0
    return output


@pytest.fixture
def copy(trained, tmp_path):
    """The same, to be written to."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def lines(output):
    return (output / "train_log.txt").read_text().splitlines()


def figures(line):
    """A line of the log as numbers."""
    found = re.findall(r"(?:^|, | - )([^:,]+): ([-+.\w]+)", line)
    return {name: float(value) for name, value in found}


def checkpoints(output):
    """The newest first."""
    found = Checkpointer(output / "save").list_checkpoints()
    return sorted(found, key=lambda x: x.meta["unixtime"], reverse=True)


# ---- a whole run ----


def test_losses_and_metrics_are_logged(trained):
    log = [figures(line) for line in lines(trained)]
    assert [entry["epoch"] for entry in log] == [1, 2]
    terms = "match sparsity foreign bank confidence order removal loudness".split()
    for entry in log:
        assert all(math.isfinite(value) for value in entry.values())
        for split in ("train", "valid"):
            assert {f"{split} {name}" for name in terms} <= entry.keys()
            total = sum(entry[f"{split} {name}"] for name in terms)
            assert entry[f"{split} loss"] == pytest.approx(total, rel=0.01)
        for name in ("AI", "AD", "AG", "FF", "FidIn", "MM"):
            metric = METRICS[name]
            assert metric.low <= entry[f"valid {name}"] <= metric.high
        assert 1 / len(SOUNDS) <= entry["valid FF ceiling"] <= 1
        # of mixtures alone: there are some
        assert entry["train loudness"] > 0 and entry["valid loudness"] > 0
    assert log[1]["lr"] < log[0]["lr"] < 0.002
    assert log[1]["train sparsity"] > log[0]["train sparsity"]  # it grows in


def test_the_yaml_is_kept(trained):
    kept = (trained / "hyperparams.yaml").read_text()
    assert "number_of_epochs: 2" in kept and "ESC-50" in kept


def test_the_best_epoch_is_exported(data, tmp_path, monkeypatch):
    """Here the first of five; it is kept with the second best and the two latest."""
    terms, validations = SceneObjective.terms, []

    def worse_and_worse(self, pairs, masks, ramp=1.0):
        out = terms(self, pairs, masks, ramp)
        if not masks.requires_grad:
            validations.append(masks)
            out["match"] = out["match"] + 1000 * len(validations)
        return out

    monkeypatch.setattr(SceneObjective, "terms", worse_and_worse)
    assert training.run(arguments(data, tmp_path / "run", epochs=5)) == 0
    kept = checkpoints(tmp_path / "run")
    assert [round(x.meta["loss"] / 1000) for x in kept] == [5, 4, 2, 1]
    exported = checkpoint.load(tmp_path / "run" / "export").decoder.state_dict()
    for found in kept:
        state = torch.load(found.paramfiles["decoder"], weights_only=True)
        same = all(torch.equal(state[n].half().float(), x) for n, x in exported.items())
        assert same == (found is kept[-1])


def test_the_export_knows_its_masks_and_its_classifier(trained, data):
    exported = checkpoint.load(trained / "export")
    assert exported.settings == {
        "masking_law": "log",
        "mask_floor_db": -68.0,
    }
    mini = Mini(data / "mini")
    assert weights.fingerprint(exported.classifier) == weights.fingerprint(mini)


def test_the_export_explains(trained, data):
    interpreter = LMACZSInterpreter.from_hparams(str(trained / "export"))
    clip = data / "ESC-50" / "audio" / "3-0-0.wav"
    explanation = interpreter.interpret_file(clip, ["rain", "a dog barking"])
    assert explanation.waveform.shape == (2, round(2 * SECONDS * RATE))
    assert explanation.mask.shape[:2] == (2, 513)
    assert bool(((explanation.mask > 0) & (explanation.mask < 1)).all())


def test_the_decoder_learns_and_the_classifier_does_not(data, tmp_path, brains):
    mini = weights.fingerprint(Mini(data / "mini"))
    assert training.run(arguments(data, tmp_path / "run", epochs=1)) == 0
    (brain,) = brains
    classifier = brain.hparams.classifier
    assert weights.fingerprint(classifier) == mini
    assert not classifier.training
    assert not any(p.requires_grad for p in classifier.parameters())
    optimized = {id(p) for g in brain.optimizer.param_groups for p in g["params"]}
    assert optimized == {id(p) for p in brain.modules.decoder.parameters()}
    assert brain.optimizer_step == 3  # 8 clips in batches of 3
    out = brain.modules.decoder.out
    moments = brain.optimizer.state[out.weight]
    assert moments["exp_avg"].abs().sum() > 0


def test_validation_of_masks_of_ones(data, tmp_path, brains, monkeypatch):
    """All is kept and silence is left, in every epoch of the same pairs."""
    asked, forward = [], MaskDecoder.forward

    def ones(self, encoding, mel, prompts, domain):
        asked.append(prompts)
        return 1 + 0 * forward(self, encoding, mel, prompts, domain)

    monkeypatch.setattr(MaskDecoder, "forward", ones)
    assert training.run(arguments(data, tmp_path / "run")) == 0
    classifier, clips = brains[0].hparams.classifier, brains[0].clips[sb.Stage.VALID]
    x = classifier.stft(torch.stack([clip["sig"] for clip in clips])).abs()
    text = classifier.embed_text([f"this is the sound of {name}" for name in SOUNDS])
    p, silent = (
        classifier.probabilities(classifier.encode(energies).embedding, text)
        for energies in (x, 0 * x)
    )
    likeliest = p.argmax(1, keepdim=True)
    torch.testing.assert_close(asked[-1], text[likeliest])
    drop = (p - silent).gather(1, likeliest).mean().item()
    first, second = map(figures, lines(tmp_path / "run"))
    assert first["valid MM"] == first["valid FidIn"] == 1
    assert first["valid AD"] == pytest.approx(0, abs=1e-2)
    assert first["valid FF"] == pytest.approx(drop, rel=5e-3)
    assert first["valid FF ceiling"] == pytest.approx(p.amax(1).mean().item(), rel=5e-3)
    for name, value in first.items():
        if name.startswith("valid "):
            assert second[name] == value, name
    assert second["train match"] != first["train match"]  # those are drawn anew


def test_the_same_command_gives_the_same_weights(trained, data, tmp_path):
    assert training.run(arguments(data, tmp_path / "again")) == 0
    assert lines(tmp_path / "again") == lines(trained)
    first, again = (
        (folder / "export" / "decoder.safetensors").read_bytes()
        for folder in (trained, tmp_path / "again")
    )
    assert first == again


# ---- again ----


def test_resume(copy, data):
    before = lines(copy)
    assert training.run(arguments(data, copy, epochs=3)) == 0
    log = lines(copy)
    assert log[:2] == before
    assert [figures(line)["epoch"] for line in log] == [1, 2, 3]
    last = checkpoints(copy)[0].paramfiles
    assert "optimizer_step: 9\n" in last["brain"].read_text()
    assert torch.load(last["scheduler"], weights_only=True)["n_steps"] == 9
    assert last["counter"].read_text() == "3"


def test_a_finished_run_is_not_trained_again(copy, data):
    before, export = lines(copy), copy / "export" / "decoder.safetensors"
    weights = export.read_bytes()
    export.unlink()
    assert training.run(arguments(data, copy)) == 0
    assert lines(copy) == before
    assert export.read_bytes() == weights


def decoder_vector(folder):
    """Of an exported decoder, in one vector."""
    state = checkpoint.load(folder / "export").decoder.state_dict()
    return torch.cat([state[name].flatten() for name in sorted(state)])


def test_start_from(trained, data, tmp_path, capsys):
    """A training may begin as what another one exported, of the same sizes."""
    output, begin = tmp_path / "run", {"start_from": trained / "export", "epochs": 1}
    assert training.run(arguments(data, output, lr=1e-12, **begin)) == 0
    fresh = arguments(data, tmp_path / "fresh", lr=1e-12, epochs=1)
    assert training.run(fresh) == 0
    torch.testing.assert_close(
        decoder_vector(output), decoder_vector(trained), rtol=0, atol=1e-6
    )
    assert (
        decoder_vector(tmp_path / "fresh") - decoder_vector(trained)
    ).abs().max() > 1e-3
    begin["decoder"] = "{width: 24, fine_width: 8}"
    assert training.run(arguments(data, tmp_path / "wide", **begin)) == 2
    assert "another shape" in capsys.readouterr().err


def test_debug(copy, data, brains, monkeypatch):
    """Two batches and two epochs, and nothing of a real run is lost."""
    kept, log = checkpoints(copy), lines(copy)
    files = [copy / "export" / "decoder.safetensors", copy / "hyperparams.yaml"]
    before = [file.read_bytes() for file in files]
    steps, fit_batch = [], LMACZSBrain.fit_batch
    monkeypatch.setattr(
        LMACZSBrain, "fit_batch", lambda *a: steps.append(1) or fit_batch(*a)
    )
    given = arguments(data, copy, "--debug", lr=0.1, epochs=5)
    assert training.run(given) == 0
    (brain,) = brains
    folder = brain.checkpointer.checkpoints_dir
    told = (folder / "train_log.txt").read_text().splitlines()
    assert [figures(line)["epoch"] for line in told] == [1, 2]
    assert len(steps) == 4
    assert checkpoints(copy) == kept and lines(copy) == log
    assert [file.read_bytes() for file in files] == before
    shutil.rmtree(folder)


# ---- the loss by name ----


def test_the_paper_s_loss(data, tmp_path, brains):
    weights = {"objectives": "{paper: {diversity: 0.1}}"}
    given = arguments(data, tmp_path / "run", loss="paper", epochs=1, **weights)
    assert training.run(given) == 0
    (entry,) = map(figures, lines(tmp_path / "run"))
    names = {k.removeprefix("train ") for k in entry if k.startswith("train ")}
    assert names == {"loss", "match", "sparsity", "diversity"}
    assert isinstance(brains[0].hparams.objective, PaperObjective)
    assert (tmp_path / "run" / "export" / "decoder.safetensors").exists()


def test_mel_masks(data, tmp_path):
    given = arguments(data, tmp_path / "run", masking_domains=["mel"], epochs=1)
    assert training.run(given) == 0
    exported = checkpoint.load(tmp_path / "run" / "export")
    assert exported.decoder.arguments["domains"] == ["mel"]


def test_tensorboard(data, tmp_path, brains):
    given = arguments(data, tmp_path / "run", epochs=1, tensorboard=True)
    assert training.run(given) == 0
    brains[0].board.writer.flush()
    (events,) = (tmp_path / "run" / "tensorboard").rglob("events.*")
    for tag in (b"valid/spectrogram", b"valid/mask", b"valid/kept", b"FidIn"):
        assert tag in events.read_bytes()
