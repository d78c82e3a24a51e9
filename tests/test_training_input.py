"""What can go wrong in a training: bad settings, Ctrl-C, a loss that is no number."""

import math
import re
from pathlib import Path

import pytest

from speechbrain_lmac import training
from speechbrain_lmac.brain import LMACZSBrain
from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.mixing import SceneObjective
from speechbrain_lmac.testing import short_training

YAML = str(Path(__file__).resolve().parents[1] / "hparams" / "lmac_zs_mini.yaml")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Overrides that make a training short."""
    sounds = ["rain", "siren", "clock tick", "helicopter"]
    return short_training(tmp_path_factory.mktemp("data"), sounds)


def arguments(data, output, *flags, **overrides):
    """The command line of a short training."""
    given = data | {"output_folder": output, "number_of_epochs": 2} | overrides
    return [YAML, *(f"--{key}={value}" for key, value in given.items()), *flags]


def error(capsys):
    """What was said to be wrong, which is one line."""
    said = capsys.readouterr().err.splitlines()
    (line,) = [line for line in said if line.startswith("error:")]
    return line


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"los": "paper"}, "has no 'los' to override; did you mean 'loss'?"),
        ({"number_of_epochs": 0}, "number_of_epochs is 0: give a whole number"),
        ({"valid_clips": 0}, "valid_clips is 0: give a whole number"),
        ({"lr": "abc"}, "lr is abc: give a number"),
        ({"grad_accumulation_factor": 9}, "8 clips are too few for one step"),
        ({"loss": "eq6"}, "choose one of default, paper"),
        ({"masking_law": "cubic"}, "masking law 'cubic' is unknown"),
        ({"objectives": "{default: {l2: 1.0}}"}, "argument 'l2'"),
        ({"lr": "{"}, "check its syntax"),
        ({"classifier_folder": "nowhere"}, "nowhere"),
        ({"data_folder": "nowhere"}, "nowhere"),
        ({"start_from": "nowhere"}, "nowhere/hyperparams.yaml"),
        ({"device": "toaster"}, "device 'toaster' cannot be used"),
        ({"lr": "!ref <nope>"}, "check its values"),
        ({"opt_class": "!name:torch.optim.Nope"}, "check its values"),
        ({"train_folds": 1}, "train_folds is 1: give a list"),
        ({"train_folds": [7]}, "train_folds is [7]: give a list"),
        ({"train_folds": []}, "train_folds is []"),
        ({"bank_size": 1}, "at least two"),
        ({"bank_size": 2}, "one that is foreign needs"),
        ({"clip_seconds": 0}, "clip_seconds is 0: give a number above 0"),
        ({"speeds": 1.2}, "speeds are 1.2: give a list"),
        ({"speeds": "[]"}, "speeds are []: give a list"),
        (
            {"templates": "the sound of {}"},
            "templates are the sound of {}: give a list",
        ),
        ({"templates": "[a sound]"}, "templates are ['a sound']: give a list"),
        ({"mask_floor_db": "low"}, "mask_floor_db is 'low': give a number"),
        ({"mask_floor_db": 100000}, "mask_floor_db is '100000': give a number"),
        ({"speeds": "[0.01]"}, "speeds are [0.01]: give a list"),
        ({"objectives": "{defalt: {mix_share: 1}}"}, "objectives 'defalt' is unknown"),
        ({"objectives": "abc"}, "objectives is abc: give values"),
        ({"train_dataloader_options": "{batch_sise: 2}"}, "options: DataLoader"),
        ({"train_dataloader_options": "{batch_size: 0}"}, "batch_size is 0: give"),
        ({"valid_dataloader_options": "{batch_sise: 2}"}, "valid_dataloader_options: "),
        ({"valid_dataloader_options": "{batch_size: 0}"}, "batch_size is 0: give"),
        ({"lr_annealing": "{n_warmup_step: 1}"}, "'n_warmup_step'"),
        ({"lr_annealing": "{n_warmup_steps: 0}"}, "lr_annealing: "),
        ({"opt_class": "{lrr: 1}"}, "'lrr'"),
        ({"opt_class": "{weight_decay: -1}"}, "opt_class: Invalid weight_decay"),
        ({"opt_class": "abc"}, "opt_class is abc: give a class"),
        ({"l1": "[1]"}, "l1 of default is [1]: give a number, or two"),
        ({"l1": "[1,2,3]"}, "l1 of default is [1, 2, 3]: give"),
        ({"l1": "abc"}, "l1 of default is abc: give"),
        ({"ramp": "abc"}, "ramp is abc: give a number from 0 to 1"),
        ({"bank_size": "abc"}, "bank_size is abc: give a whole number"),
        ({"max_unreadable": "abc"}, "max_unreadable is abc: give a number"),
        ({"seed": -1}, "seed is -1: give a whole number, at least 0"),
        ({"seed": "x"}, "seed is x: give a whole number, at least 0"),
        ({"seed": "[1]"}, "seed is no number: give a whole number, at least 0"),
        ({"objectives": "{default: {order: x}}"}, "order of default is x: give a num"),
        ({"objectives": "{default: {odds: [1]}}"}, "odds of default is [1]: give a n"),
        ({"checkpointer": "null"}, "checkpointer is None: give an object"),
    ],
)
def test_bad_input(data, tmp_path, capsys, override, message):
    assert training.run(arguments(data, tmp_path / "run", **override)) == 2
    assert message in error(capsys)
    assert not (tmp_path / "run" / "export").exists()


def test_ctrl_c_is_one_line(data, tmp_path, monkeypatch, capsys):
    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(LMACZSBrain, "fit_batch", stopped)
    assert training.run(arguments(data, tmp_path / "run")) == 130
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == "stopped; the same command goes on"
    assert "KeyboardInterrupt" not in said


def test_no_output(data, tmp_path, capsys):
    (tmp_path / "run").touch()
    assert training.run(arguments(data, tmp_path / "run")) == 2
    assert "run/save: cannot be used (Not a directory)" in error(capsys)


def test_debug_shows_the_traceback(data, tmp_path):
    with pytest.raises(ConfigError, match="eq6"):
        training.run(arguments(data, tmp_path / "run", "--debug", loss="eq6"))


@pytest.mark.parametrize("when", ["train", "valid"])
def test_nan_stops_and_names_the_clips(data, tmp_path, monkeypatch, capsys, when):
    """And what was exported or checkpointed is never a decoder of NaN."""
    terms = SceneObjective.terms

    def broken(self, pairs, masks, ramp=1.0):
        out = terms(self, pairs, masks, ramp)
        if masks.requires_grad == (when == "train"):
            out["match"] = out["match"] * math.nan
        return out

    monkeypatch.setattr(SceneObjective, "terms", broken)
    output = tmp_path / "run"
    assert training.run(arguments(data, output)) == 2
    said = error(capsys)
    assert f"the loss is nan in step 1 of epoch 1 ({when}) with the clips" in said
    fold = {"train": 1, "valid": 3}[when]
    assert len(re.findall(rf"{fold}-\d-\d", said)) == {"train": 3, "valid": 4}[when]
    assert not any((output / "save").glob("CKPT*"))
    assert not (output / "export").exists()
