"""Two processes, accumulation, bfloat16: the same training in another way."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import speechbrain as sb
import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_lmac import objective, parallel, training
from speechbrain_lmac.brain import LMACZSBrain
from speechbrain_lmac.pairing import PaperObjective
from speechbrain_lmac.testing import short_training

HERE = Path(__file__).resolve().parent
YAML = str(HERE.parent / "hparams" / "lmac_zs_mini.yaml")
# whose steps are in proportion to the gradient
PLAIN = {"opt_class": "!name:torch.optim.SGD", "lr": 0.05}
KINDS = {
    "default": {"bank_size": 4},
    "paper": {"loss": "paper"},
    "chosen pairs": {"loss": "paper", "objectives": "{paper: {pairs_per_clip: 2}}"},
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return short_training(tmp_path_factory.mktemp("data"))


def arguments(small, output, *flags, batch_size=4, **overrides):
    given = small | PLAIN | {"output_folder": str(output), "number_of_epochs": 2}
    given |= {"train_dataloader_options": f"{{batch_size: {batch_size}}}"} | overrides
    return [YAML, *(f"--{name}={value}" for name, value in given.items()), *flags]


def record(runs, *launcher):
    """Runs trainings in other processes."""
    script = str(HERE / "record_gradients.py")
    ran = subprocess.run(
        [sys.executable, *launcher, script, json.dumps(runs)],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def folders(small, tmp_path_factory):
    """Outputs of one process with batches of 4 and of two with batches of 2."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    alone = [
        (arguments(small, one / kind, **given), f"{one / kind}.pt", None)
        for kind, given in KINDS.items()
    ]
    flags = ["--distributed_backend=gloo", "--device=cpu"]
    together = [
        (
            arguments(small, two / kind, *flags, batch_size=2, **given),
            f"{two / kind}.pt",
            None,
        )
        for kind, given in KINDS.items()
    ]
    # and once more, stopped in the second epoch
    stopped = arguments(
        small, two / "stopped", *flags, batch_size=2, **KINDS["default"]
    )
    together += [
        (stopped, f"{two / 'first'}.pt", 3),
        (stopped, f"{two / 'then'}.pt", None),
    ]
    record(alone)
    record(
        together, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"
    )
    return one, two


def close(given, wanted):
    assert len(given) == len(wanted)
    for some, others in zip(given, wanted, strict=True):
        assert some.keys() == others.keys()
        for name, value in some.items():
            torch.testing.assert_close(value, others[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_have_the_gradients_of_one(folders, kind):
    alone, together = (torch.load(folder / f"{kind}.pt") for folder in folders)
    assert len(alone) == 4
    assert all(max(g.abs().max() for g in step.values()) > 1e-3 for step in alone)
    close(together, alone)


def log(output):
    return (output / "train_log.txt").read_text().splitlines()


def test_files_are_written_once(folders):
    one, two = (folder / "default" for folder in folders)
    assert len(log(two)) == len(log(one)) == 2
    found = Checkpointer(two / "save").find_checkpoints()
    assert [x.meta["end-of-epoch"] for x in found] == [True, True]
    first, second = (
        [float(value.split(",")[0]) for value in text.split("loss: ")[1:]]
        for text in (log(one)[-1], log(two)[-1])
    )
    assert first == pytest.approx(second, rel=0.01)  # of all processes
    assert (two / "export" / "decoder.safetensors").is_file()


def test_two_processes_resume(folders):
    _, two = folders
    whole, then = torch.load(two / "default.pt"), torch.load(two / "then.pt")
    assert len(torch.load(two / "first.pt")) == 3
    close(then, whole[2:])  # the second epoch again
    states = [
        torch.load(
            Checkpointer(two / name / "save").find_checkpoint().paramfiles["decoder"]
        )
        for name in ("default", "stopped")
    ]
    for name, value in states[0].items():
        assert torch.equal(states[1][name], value)


def test_means_are_those_of_all_processes(monkeypatch):
    """Weighted means of uneven shares, averaged, are the mean of the whole."""
    values, weights = torch.rand(5), torch.tensor([1.0, 0.5, 0.0, 2.0, 1.0])
    shares = [slice(0, 1), slice(1, 5), slice(5, 5)]
    mean = sum(weights[share].sum() for share in shares) / len(shares)
    monkeypatch.setattr(parallel, "mean", lambda value: mean)
    parts = [objective.weighted_mean(values[x], weights[x]) for x in shares]
    monkeypatch.undo()
    whole = objective.weighted_mean(values, weights)
    torch.testing.assert_close(sum(parts) / len(shares), whole)


# ---- run options ----


class OwnPrompt(PaperObjective):
    """Each clip with its own prompt: no clip's loss depends on the others."""

    def prepare(self, waveforms, bank, prompt, rows=slice(None)):
        pairs = super().prepare(waveforms, bank, prompt, rows)
        pairs.prompt = prompt.unsqueeze(1)
        pairs.text = bank[pairs.prompt]
        pairs.target = pairs.target[:, :1]
        return pairs


def test_accumulation_has_the_gradients_of_one_batch(small, tmp_path, monkeypatch):
    """Where no clip's loss depends on the others, and all weigh alike."""
    monkeypatch.setattr(
        training,
        "chosen_objective",
        lambda hparams: OwnPrompt(hparams["classifier"], hparams["maskings"], l1=0.5),
    )
    found, step = [], LMACZSBrain.optimizers_step

    def noted(self):
        decoder = self.hparams.decoder
        found.append({n: p.grad.clone() for n, p in decoder.named_parameters()})
        step(self)

    monkeypatch.setattr(LMACZSBrain, "optimizers_step", noted)
    given = {"templates": "['{}']", "number_of_epochs": 1}
    assert training.run(arguments(small, tmp_path / "a", batch_size=8, **given)) == 0
    flag = "--grad_accumulation_factor=2"
    assert training.run(arguments(small, tmp_path / "b", flag, **given)) == 0
    assert len(found) == 2
    close(found[1:], found[:1])


def test_steps_are_counted_for_the_learning_rate(small, tmp_path, monkeypatch):
    made, fit = [], LMACZSBrain.fit

    def noted(self, *args, **kwargs):
        fit(self, *args, **kwargs)
        made.append((self.total_steps, self.optimizer_step, self.optimizer))

    monkeypatch.setattr(LMACZSBrain, "fit", noted)
    # 8 clips: 3, 3, 2; two batches a step, and what is left of an epoch has no step
    given = arguments(
        small, tmp_path / "a", "--grad_accumulation_factor=2", batch_size=3
    )
    assert training.run(given) == 0
    options = {"train_dataloader_options": "{batch_size: 3, drop_last: True}"}
    assert training.run(arguments(small, tmp_path / "b", **options)) == 0
    assert [x[:2] for x in made] == [(2, 2), (4, 4)]


def test_bfloat16(small, tmp_path, monkeypatch):
    used, forward = set(), LMACZSBrain.compute_forward

    def noted(self, batch, stage):
        pairs, masks = forward(self, batch, stage)
        if stage == sb.Stage.TRAIN:
            used.add((torch.is_autocast_enabled("cpu"), pairs.target.dtype))
        return pairs, masks

    monkeypatch.setattr(LMACZSBrain, "compute_forward", noted)
    assert training.run(arguments(small, tmp_path / "run", "--precision=bf16")) == 0
    assert used == {(True, torch.float32)}  # similarities are not rounded
    assert len(log(tmp_path / "run")) == 2
