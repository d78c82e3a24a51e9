"""The documented classifier from outside the package: contract, explanation, export."""

import importlib.util
import inspect
import textwrap
from pathlib import Path

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain_lmac import LMACZSInterpreter, checkpoint, weights
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.errors import CheckpointError, ConfigError
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.pairing import PaperObjective

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {"masking_law": "log", "mask_floor_db": -68}


def load(name, file):
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MyCLAP = load("own_classifier", ROOT / "docs" / "own_classifier.py").MyCLAP

# every test of the contract, with the classifier of the fixture below
contract = load("contract", ROOT / "tests" / "test_classifiers.py")
once = contract.once
globals().update(
    (name, value)
    for name, value in vars(contract).items()
    if name.startswith("test_") and "classifier" in inspect.signature(value).parameters
)


@pytest.fixture(scope="module")
def classifier():
    return MyCLAP()


@pytest.fixture
def exported(tmp_path):
    torch.manual_seed(0)
    classifier = MyCLAP()
    decoder = MaskDecoder(classifier, width=16, fine_width=8)
    checkpoint.export(tmp_path / "model", decoder, classifier, SETTINGS)
    return tmp_path / "model", decoder


def test_the_contract_is_run():
    assert sum(name.startswith("test_") for name in globals()) > 15


def test_example_is_short():
    assert len((ROOT / "docs" / "own_classifier.py").read_text().splitlines()) < 80


def test_example_runs(capsys):
    code = compile((ROOT / "docs" / "own_classifier.py").read_text(), "example", "exec")
    exec(code, {"__name__": "__main__"})
    assert "heard=tensor" in capsys.readouterr().out


def test_export_needs_the_classifier(exported):
    folder, decoder = exported
    assert "!new:own_classifier.MyCLAP" in (folder / "hyperparams.yaml").read_text()
    with pytest.raises(ConfigError, match=r"own_classifier.* classifier=") as caught:
        LMACZSInterpreter.from_hparams(folder)
    assert "\n" not in str(caught.value)
    options = {"run_opts": {"device": "cpu"}, "classifier": MyCLAP()}
    loaded = LMACZSInterpreter.from_hparams(folder, **options)
    modules = {"classifier": MyCLAP(), "decoder": decoder}
    direct = LMACZSInterpreter(modules, SETTINGS, {"device": "cpu"})
    clip = 0.1 * torch.randn(1, 8000)
    (a,), (b,) = (i.interpret_batch(clip, ["rain"]) for i in (loaded, direct))
    assert (a.mask - b.mask).abs().max() < 1e-2  # half precision on disk
    assert a.classifier == "my clap"


def test_another_classifier_is_refused(exported):
    with pytest.raises(CheckpointError, match="trained for another classifier"):
        LMACZSInterpreter.from_hparams(exported[0], classifier=MyCLAP(seed=1))


def test_what_the_yaml_says_of_it_is_not_run(exported, tmp_path):
    file, mark = exported[0] / "hyperparams.yaml", tmp_path / "mark"
    text = file.read_text().replace("!new:own_classifier.MyCLAP\n    seed: 0", "{}")
    assert "{}" in text
    file.write_text(text.replace("{}", f"!apply:os.system ['touch {mark}']"))
    LMACZSInterpreter.from_hparams(exported[0], classifier=MyCLAP())
    file.write_text(text.replace("decoder: !new:", "decoder: !apply:"))
    with pytest.raises(ConfigError, match="not allowed"):
        LMACZSInterpreter.from_hparams(exported[0], classifier=MyCLAP())
    assert not mark.exists()


def test_named_in_the_yaml_and_trained(monkeypatch):
    """As train.py reads it; the loss of a decoder for it falls."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    lines = (ROOT / "docs" / "own_classifier.py").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if "classifier: !new:" in line)
    yaml = textwrap.dedent("\n".join(lines[start : start + 2]))
    classifier = load_hyperpyyaml(yaml)["classifier"]
    assert classifier.arguments == {"seed": 0}
    before = weights.fingerprint(classifier)
    torch.manual_seed(0)
    decoder = MaskDecoder(classifier, width=16, fine_width=8)
    maskings = Masking.for_domains(classifier)
    objective = PaperObjective(classifier, maskings, l1=1.0)
    bank = classifier.embed_text(["rain", "a dog barking", "wind"])
    clips = 0.1 * torch.randn(3, 8000) * torch.tensor([[1.0], [0.1], [0.01]])
    pairs = objective.prepare(clips, bank, torch.arange(3))
    optimizer = torch.optim.AdamW(decoder.parameters(), 0.01)
    losses = []
    for _ in range(8):
        scene = pairs.scene
        masks = decoder(scene.encoding, scene.mel, pairs.text, scene.domain)
        loss = sum(objective.terms(pairs, masks).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert weights.fingerprint(classifier) == before
