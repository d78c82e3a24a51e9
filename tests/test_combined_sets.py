"""Training clips of ESC-50 and UrbanSound8K together."""

import pytest
import torch

from speechbrain_lmac import audio
from speechbrain_lmac.data.manifests import read_manifest
from speechbrain_lmac.data.prepare import prepare_manifests
from speechbrain_lmac.errors import ConfigError, ManifestError


@pytest.fixture
def folders(tmp_path):
    """One clip in each of two folds of both data sets."""
    esc, urban = tmp_path / "ESC-50", tmp_path / "UrbanSound8K"
    files = {
        esc / "audio" / "1-100-A-0.wav": 44100,
        esc / "audio" / "2-200-A-0.wav": 44100,
        urban / "audio" / "fold1" / "1-3-0-0.wav": 22050,
        urban / "audio" / "fold2" / "2-6-0-0.wav": 22050,
    }
    for file, rate in files.items():
        audio.write(file, torch.zeros(rate), rate)
    (esc / "meta").mkdir()
    (esc / "meta" / "esc50.csv").write_text(
        "filename,fold,category\n1-100-A-0.wav,1,dog\n2-200-A-0.wav,2,dog\n"
    )
    (urban / "metadata").mkdir()
    (urban / "metadata" / "UrbanSound8K.csv").write_text(
        "slice_file_name,fold,class\n1-3-0-0.wav,1,dog_bark\n2-6-0-0.wav,2,gun_shot\n"
    )
    return esc, urban


def test_both_sets_are_trained_on(folders, tmp_path):
    esc, urban = folders
    train, valid = prepare_manifests(
        tmp_path / "save", esc, [1], [2], urbansound8k_folder=urban
    )
    assert read_manifest(train).caption.to_list() == ["dog", "gun shot"]
    assert read_manifest(valid).caption.to_list() == ["dog"]


def test_folds_that_there_are_not(folders, tmp_path):
    esc, urban = folders
    with pytest.raises(ConfigError, match=r"urbansound8k_folds is \[11\].* 1 to 10"):
        prepare_manifests(
            tmp_path / "save",
            esc,
            [1],
            [2],
            urbansound8k_folder=urban,
            urbansound8k_folds=[11],
        )


def test_recordings_that_are_not_trained_on(folders, tmp_path):
    esc, urban = folders
    table = tmp_path / "exclude.csv"

    def prepared(rows):
        table.write_text(rows)
        return prepare_manifests(
            tmp_path / "save",
            esc,
            [1],
            [2],
            urbansound8k_folder=urban,
            exclude_csv=table,
        )

    # named with another suffix; and one that is only validated on
    train, valid = prepared("set,file\nESC-50,1-100-A-0.ogg\nESC-50,2-200-A-0.wav\n")
    assert read_manifest(train).caption.to_list() == ["gun shot"]
    assert read_manifest(valid).caption.to_list() == ["dog"]
    with pytest.raises(ManifestError, match=r"exclude\.csv: names all clips"):
        prepared("file\n1-100-A-0.wav\n2-6-0-0.wav\n")
    with pytest.raises(ManifestError, match=r"exclude\.csv: .*file"):
        prepared("set,name\nESC-50,1-100-A-0.wav\n")
