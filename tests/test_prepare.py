"""The publishers' layouts of ESC-50 and UrbanSound8K become manifests."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from speechbrain_lmac import audio
from speechbrain_lmac.data import esc50, urbansound8k
from speechbrain_lmac.data.manifests import read_manifest
from speechbrain_lmac.errors import ManifestError

RECIPES = Path(__file__).parent.parent / "recipes"


@pytest.fixture
def esc(tmp_path):
    """Two folds of ESC-50 with a clip each, and one clip that is missing."""
    folder = tmp_path / "ESC-50"
    audio.write(folder / "audio" / "1-100-A-20.wav", torch.zeros(4410), 44100)
    audio.write(folder / "audio" / "2-200-A-0.wav", torch.zeros(4410), 44100)
    (folder / "meta").mkdir()
    (folder / "meta" / "esc50.csv").write_text(
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100-A-20.wav,1,20,crying_baby,True,100,A\n"
        "2-200-A-0.wav,2,0,dog,True,200,A\n"
        "2-201-A-10.wav,2,10,rain,True,201,A\n"
    )
    return folder


@pytest.fixture
def urban(tmp_path):
    """UrbanSound8K with one clip."""
    folder = tmp_path / "UrbanSound8K"
    audio.write(folder / "audio" / "fold3" / "7-6-0-0.wav", torch.zeros(2205), 44100)
    (folder / "metadata").mkdir()
    (folder / "metadata" / "UrbanSound8K.csv").write_text(
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
        "7-6-0-0.wav,7,0.0,0.05,1,3,6,gun_shot\n"
    )
    return folder


def test_esc50(esc, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        esc50.prepare(esc, tmp_path / "m.csv")
    assert "2 of 2000 clips are there (fold1: 1, fold2: 1)" in caplog.text
    manifest = read_manifest(tmp_path / "m.csv")
    assert list(manifest.caption) == list(manifest.label) == ["crying baby", "dog"]
    assert list(manifest.split) == ["fold1", "fold2"]
    assert list(manifest.duration) == [0.1, 0.1]
    assert set(manifest.label) < set(esc50.CLASSES)
    assert len(set(esc50.CLASSES)) == 50


def test_folds(esc, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        manifest = esc50.prepare(esc, tmp_path / "m.csv", folds=[2])
    assert list(manifest.ID) == ["2-200-A-0"]
    assert "1 of 400" in caplog.text
    with pytest.raises(ManifestError, match="not one clip"):
        esc50.prepare(esc, tmp_path / "n.csv", folds=[5])


def test_urbansound8k(urban, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        manifest = urbansound8k.prepare(urban, tmp_path / "m.csv")
    assert "1 of 8732" in caplog.text
    row = manifest.iloc[0]
    assert (row.caption, row.label, row.split) == ("gun shot", "gun shot", "fold3")
    assert row.wav == str(urban / "audio" / "fold3" / "7-6-0-0.wav")
    assert sum(urbansound8k.FOLDS.values()) == 8732
    assert len(urbansound8k.CLASSES) == 10


@pytest.mark.parametrize("module", [esc50, urbansound8k])
def test_not_the_data_set(module, tmp_path):
    with pytest.raises(ManifestError, match="no such file; give"):
        module.prepare(tmp_path, tmp_path / "m.csv")


def test_another_csv(esc, tmp_path):
    (esc / "meta" / "esc50.csv").write_text("filename,category\na.wav,dog\n")
    with pytest.raises(ManifestError, match="lacks the column fold"):
        esc50.prepare(esc, tmp_path / "m.csv")


@pytest.mark.parametrize("name", ["ESC-50", "UrbanSound8K"])
def test_the_command(name, esc, urban, tmp_path):
    folder = {"ESC-50": esc, "UrbanSound8K": urban}[name]

    def run(data_folder):
        script = [sys.executable, RECIPES / name / "prepare.py"]
        options = ["--data_folder", data_folder, "--output", tmp_path / "m.csv"]
        return subprocess.run(
            [*script, *options],
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(RECIPES.parent)},
        )

    bad = run(tmp_path)
    assert bad.returncode == 2 and "Traceback" not in bad.stderr
    assert bad.stderr.count("\n") == 1 and str(tmp_path) in bad.stderr
    good = run(folder)
    assert good.returncode == 0 and "clips" in good.stdout
    assert len(read_manifest(tmp_path / "m.csv"))
