"""What benchmarks/random_clap.py trains, and what it says of masks."""

import pandas as pd
import pytest
import ruamel.yaml
import speechbrain as sb
import torch

from speechbrain_lmac import audio
from speechbrain_lmac.data.manifests import COLUMNS, read_manifest
from speechbrain_lmac.evaluation.provenance import plain
from speechbrain_lmac.testing import random_interpreter


@pytest.fixture
def script(load_benchmark):
    return load_benchmark("random_clap")


@pytest.fixture
def manifest(tmp_path):
    """Two clips of noise, one of them shorter."""
    rows = []
    for name, seconds in (("a", 1.0), ("b", 0.6)):
        wav = tmp_path / f"{name}.wav"
        audio.write(wav, 0.1 * torch.randn(int(16000 * seconds)), 16000)
        rows.append([name, seconds, str(wav), f"{name} barks | {name}", "", ""])
    return pd.DataFrame(rows, columns=COLUMNS)


def test_the_training(script, manifest, tmp_path, monkeypatch):
    """Settings that the yaml has; as many steps as were asked for, or a few more."""
    run = []
    monkeypatch.setattr(script.subprocess, "run", lambda given, **_: run.append(given))
    options = ["--seed", "2"]
    export = script.train(manifest, 10, tmp_path / "out", options)
    assert export == tmp_path / "out" / "export"
    (command,) = run
    assert command[-2:] == options
    written = read_manifest(tmp_path / "out" / "train.csv")
    steps = script.EPOCHS * -(-len(written) // script.BATCH)
    assert 10 <= steps <= 10 + script.EPOCHS
    assert set(written["caption"]) == set(manifest["caption"])

    yaml, _, overrides = sb.parse_arguments(command[2:-2])
    known = plain((script.ROOT / yaml).read_text())
    overrides = ruamel.yaml.YAML().load(overrides)
    assert overrides["objectives"] == script.OBJECTIVES
    assert overrides["clap_checkpoint"] is None
    assert (
        overrides.keys() - {"output_folder"} <= known.keys()
    )  # which plain leaves out
    default = known["objectives"]["default"]
    (default,) = default.values()
    assert overrides["objectives"]["default"].keys() <= default.keys()


def test_prompts_that_are_the_same_have_the_same_mask(script, manifest):
    interpreter = random_interpreter()
    (two,) = script.differences(interpreter, manifest)
    assert two["masks' difference over their mean"] > 0
    assert 0 < two["mask mean"] < 1
    manifest["caption"] = "a barks"
    (one,) = script.differences(interpreter, manifest)
    assert one["masks' difference over their mean"] == 0
