"""A training that is killed, and what is left of it; bad clips; another loss."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import speechbrain as sb
import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_lmac import resuming, settings, training
from speechbrain_lmac.brain import LMACZSBrain
from speechbrain_lmac.data.seeded import SeededClips, reseed
from speechbrain_lmac.errors import AudioInputError
from speechbrain_lmac.testing import short_training

HERE = Path(__file__).resolve().parent
YAML = str(HERE.parent / "hparams" / "lmac_zs_mini.yaml")
STATES = ("decoder", "optimizer", "scheduler")
# one after the other, in one training of 3 epochs with 3 steps and a checkpoint in each
MOMENTS = [
    ("step", 2),  # nothing is saved yet
    ("checkpoint", 1),  # the folder of the first checkpoint has no weights
    ("save", 3),  # half of its optimizer
    ("step", 3),  # in the middle of the first epoch
    ("validation", 1),
    ("log", 1),
    ("save", 5),  # the checkpoint in the second epoch
    ("deletion", 1),
    ("save", 1),
    ("step", 4),
    ("export", 1),
]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return short_training(tmp_path_factory.mktemp("data"))


def arguments(small, output, *flags, **overrides):
    given = small | {"output_folder": output, "number_of_epochs": 3} | overrides
    return [YAML, *(f"--{name}={value}" for name, value in given.items()), *flags]


def newest(output):
    """States of the last checkpoint."""
    files = Checkpointer(output / "save").find_checkpoint().paramfiles
    return [torch.load(files[name], weights_only=True) for name in STATES]


def same(a, b):
    """Whether nested states are equal to the last bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.fixture(scope="module")
def outputs(small, tmp_path_factory):
    """A training that was left alone, and the same one that was killed many times."""
    folder = tmp_path_factory.mktemp("trained")
    whole, killed = folder / "whole", folder / "killed"
    again = arguments(small, str(killed), "--ckpt_interval_steps=2")
    plan = [(None, 0, arguments(small, str(whole)))]
    plan += [(moment, call, again) for moment, call in MOMENTS] + [(None, 0, again)]
    ran = subprocess.run(
        [sys.executable, str(HERE / "kill_training.py"), json.dumps(plan)],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    codes = json.loads(ran.stdout)
    assert codes == [0] + [-signal.SIGKILL] * len(MOMENTS) + [0]
    return whole, killed


@pytest.fixture
def copy(outputs, tmp_path):
    return Path(shutil.copytree(outputs[0], tmp_path / "run"))


# ---- kill -9 ----


def test_a_killed_training_ends_with_the_same_weights(outputs):
    whole, killed = outputs
    assert same(newest(whole), newest(killed))
    first, second = (
        (output / "export" / "decoder.safetensors").read_bytes() for output in outputs
    )
    assert first == second
    aside = [path.name for path in (killed / "save").glob("damaged-*")]
    assert len(aside) == sum(
        m in ("checkpoint", "save", "deletion") for m, _ in MOMENTS
    )


# ---- damage ----


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def turn(file):
    """Other bits in the middle, of the same length."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)


DAMAGE = [
    ("decoder.ckpt", cut),
    ("optimizer.ckpt", turn),
    ("scheduler.ckpt", Path.unlink),
    ("CKPT.yaml", lambda file: file.write_bytes(b"")),
    ("counter.ckpt", Path.unlink),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
def test_a_damaged_checkpoint_is_set_aside(copy, caplog, name, damage):
    first, *others = Checkpointer(copy / "save").find_checkpoints()
    damage(first.path / name)
    resuming.set_aside_damaged(copy / "save")
    assert Checkpointer(copy / "save").find_checkpoints() == others
    assert (copy / "save" / f"damaged-{first.path.name}").is_dir()
    assert "unfinished or damaged" in caplog.text


def test_the_checkpoint_before_a_damaged_one_gives_the_same_weights(small, copy):
    wanted = newest(copy)
    cut(Checkpointer(copy / "save").find_checkpoint().path / "optimizer.ckpt")
    assert training.run(arguments(small, copy)) == 0
    assert same(newest(copy), wanted)


# ---- draws ----


def test_draws_of_a_clip_depend_on_seed_epoch_and_clip_alone():
    class Draws(torch.utils.data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            return {"drawn": torch.rand(())}

    def drawn(seed, epoch, order, **options):
        clips = SeededClips(Draws(), seed)
        clips.set_epoch(epoch)
        loader = torch.utils.data.DataLoader(
            clips, sampler=order, collate_fn=lambda items: items, **options
        )
        found = [float(item["drawn"]) for batch in loader for item in batch]
        return dict(zip(order, found, strict=True))

    given = drawn(1, 2, range(6), batch_size=2)
    assert len(set(given.values())) == 6
    assert drawn(1, 2, [5, 3, 1, 0, 4, 2], batch_size=4) == given
    assert drawn(1, 2, [4, 2], batch_size=1, num_workers=1) == {
        4: given[4],
        2: given[2],
    }
    for seed, epoch in ((1, 3), (2, 2)):
        other = drawn(seed, epoch, range(6), batch_size=2)
        assert not set(other.values()) & set(given.values())
    reseed(1, 2, 3)  # a step of the same number draws something else
    assert float(torch.rand(())) not in given.values()


# ---- clips that cannot be read ----


@pytest.fixture
def broken(small, tmp_path):
    """Overrides with data of which one clip for training has a sample that is NaN."""
    folder = Path(shutil.copytree(small["data_folder"], tmp_path / "ESC-50"))
    samples = np.full(8000, np.nan)
    soundfile.write(folder / "audio" / "1-2-0.wav", samples, 16000, subtype="FLOAT")
    return small | {"data_folder": folder}


def test_a_clip_that_cannot_be_read_is_left_out(broken, tmp_path, monkeypatch, caplog):
    heard, forward = [], LMACZSBrain.compute_forward

    def noted(self, batch, stage):
        if stage.name == "TRAIN":
            heard.append(batch.id)
        return forward(self, batch, stage)

    monkeypatch.setattr(LMACZSBrain, "compute_forward", noted)
    given = arguments(broken, tmp_path / "run", max_unreadable=0.2, number_of_epochs=2)
    assert training.run(given) == 0
    assert [len(batch) for batch in heard] == [3, 3, 2] * 2
    assert not any("1-2-0" in batch for batch in heard)
    told = (tmp_path / "run" / "log.txt").read_text()
    assert told.count("left out, 1 so far: ") == 1 and "1-2-0.wav" in told


def test_too_many_of_them_end_the_run(broken, tmp_path, capsys):
    assert training.run(arguments(broken, tmp_path / "run")) == 2
    (said,) = [x for x in capsys.readouterr().err.splitlines() if x[:6] == "error:"]
    assert (
        "1 of 8 clips cannot be read, which is more than max_unreadable, 0.05" in said
    )
    assert "1-2-0.wav" in said


def test_processes_that_have_met_all_of_them(monkeypatch):
    """Shares change from epoch to epoch: in the end each has met every damaged clip."""
    brain = object.__new__(LMACZSBrain)
    stage = sb.Stage.TRAIN
    brain.unreadable, brain.clips = {stage: set()}, {stage: range(100)}
    brain.hparams = SimpleNamespace(max_unreadable=0.05)
    monkeypatch.setattr("speechbrain_lmac.parallel.processes", lambda: 2)
    batch = SimpleNamespace(unreadable=[[f"{i}.wav: damaged" for i in range(5)]])
    brain._count_unreadable(batch, stage)
    one_more = SimpleNamespace(unreadable=[["5.wav: damaged"]])
    with pytest.raises(AudioInputError, match="6 of 100 clips"):
        brain._count_unreadable(one_more, stage)


def test_nothing_can_be_read():
    class Broken(torch.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            raise AudioInputError(f"{index}.wav: no audio")

    with pytest.raises(AudioInputError, match="no audio"):
        SeededClips(Broken(), 0)[0]


# ---- another training in the same folder ----


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loss": "paper"}, "loss from default to paper"),
        ({"l1": 77.0}, " to 77.0"),
        (
            {"objectives": "{default: {questions: {unlikely_share: 0.4}}}"},
            "'unlikely_share': 0.4",
        ),
        ({"masking_law": "linear"}, "masking_law from log to linear"),
        ({"seed": 2}, "seed from 1 to 2"),
        ({"decoder": "{width: 24, fine_width: 8}"}, "decoder from {"),
        ({"classifier_folder": "mini"}, "classifier from "),
        ({"start_from": "results/1/export"}, "start_from from None to results/1"),
        ({"speeds": "[1.0]"}, "speeds from ["),
        ({"train_dataloader_options": "{batch_size: 4}"}, "batch_size from 3 to 4"),
        ({"grad_accumulation_factor": 2}, "grad_accumulation_factor from 1 to 2"),
        ({"max_grad_norm": 7.0}, "max_grad_norm from 1.0 to 7.0"),
        ({"opt_class": "{weight_decay: 0.5}"}, "opt_class from {'name': 'AdamW'"),
        ({"lr_annealing": "{n_warmup_steps: 9}"}, "'n_warmup_steps': 9"),
        ({"train_folds": [1, 3]}, "train.csv from 8 clips "),
        ({"valid_folds": [1]}, "valid.csv from 4 clips "),
        ({"exclude_csv": "excluded.csv"}, "train.csv from 8 clips "),
        ({"data_folder": "null"}, "train.csv from 8 clips "),
    ],
)
def test_another_training_does_not_go_on(
    small, copy, capsys, monkeypatch, changed, message
):
    monkeypatch.chdir(copy)
    (copy / "excluded.csv").write_text("file\n1-2-0.wav\n")
    names = "hyperparams.yaml save/train.csv save/valid.csv save/prepared_with.json"
    files = [copy / name for name in names.split()]
    before = [file.read_bytes() for file in files]
    given = arguments(small, copy, **changed)
    assert training.run(given) == 2
    (said,) = [x for x in capsys.readouterr().err.splitlines() if x[:6] == "error:"]
    assert message in said and "give another output_folder" in said
    assert [file.read_bytes() for file in files] == before


def test_moved_data_and_older_trainings_go_on(small, copy, tmp_path):
    moved = shutil.copytree(small["data_folder"], tmp_path / "elsewhere")
    told = copy / "save" / "trained_with.json"
    older = json.loads(told.read_text())
    for name in ("batch_size", "max_grad_norm", "opt_class", "lr_annealing"):
        del older[name]
    told.write_text(json.dumps(older))
    assert training.run(arguments(small, copy, data_folder=moved)) == 0
    (copy / "save" / "trained_on.json").unlink()
    assert training.run(arguments(small, copy)) == 0
    assert json.loads(told.read_text())["batch_size"] == 3


def test_more_epochs_are_told(small, copy, caplog):
    hparams = settings.load_settings(
        YAML,
        small
        | {
            "output_folder": str(copy),
            "number_of_epochs": 9,
            "decoder": {"width": 16, "fine_width": 8},
            "train_dataloader_options": {"batch_size": 3},
            "objectives": {"default": {"alike": 1.1}},
        },
    )
    hparams["objective"] = settings.chosen_objective(hparams)
    resuming.check_unchanged(hparams)
    assert "changed number_of_epochs from 3 to 9" in caplog.text
