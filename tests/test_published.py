"""The publishers' layouts become manifests."""

import logging
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from speechbrain_lmac import audio
from speechbrain_lmac.data import audiocaps, clotho, esc50, speech, urbansound8k
from speechbrain_lmac.data.manifests import captions, read_manifest
from speechbrain_lmac.errors import ManifestError

RECIPES = Path(__file__).parent.parent / "recipes"


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
    assert "2 of 2000 clips are there (fold1: 1 of 400, fold2: 1 of" in caplog.text
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


def test_names_that_no_file_can_have(esc, tmp_path):
    table = esc / "meta" / "esc50.csv"
    table.write_text(table.read_text() + f"{300 * 'a'}.wav,2,dog,0\n")
    manifest = esc50.prepare(esc, tmp_path / "m.csv", folds=[2])
    assert list(manifest.ID) == ["2-200-A-0"]
    assert "aaa.wav: missing" in (tmp_path / "m.missing.txt").read_text()


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


# ---- captioned sets and speech ----

# Clotho as it is published, and as others unpack it
LAYOUTS = [tuple(clotho.SPLITS), tuple(f"audio/{x}" for x in clotho.SPLITS)]


@pytest.mark.parametrize("places", [*LAYOUTS, ("clips", "clips", "clips")])
def test_clotho(tmp_path, places, caplog, write_clotho):
    folder = write_clotho(tmp_path / "Clotho v2.1", places)
    with caplog.at_level(logging.WARNING):
        manifest = clotho.prepare(folder, tmp_path / "m.csv")
    together = places[0] == "clips"  # where one split's clip lies there for another's
    there = 10 if together else 8
    assert (
        f"{there} of 5929 clips are there (development: {5 + together} of 3839, "
        in (caplog.text)
    )
    row = read_manifest(tmp_path / "m.csv").set_index("ID").loc["validation- né 2"]
    assert captions(row.caption) == [f"validation 2 {letter}" for letter in "abcde"]
    assert (row.split, row.label) == ("validation", "")
    assert row.wav == str(folder / places[1] / " né 2.wav")
    assert manifest.ID.is_unique  # though all splits have the same names
    missing = tmp_path / "m.missing.txt"
    assert missing.exists() != together
    if not together:
        assert missing.read_text().count(" né 0.wav: missing") == 2


def test_splits_of_clotho(tmp_path, caplog, write_clotho):
    folder = write_clotho(tmp_path / "Clotho")
    (folder / "clotho_captions_validation.csv").unlink()
    manifest = clotho.prepare(folder, tmp_path / "m.csv", ["development", "evaluation"])
    assert list(manifest.split) == ["development"] * 5 + ["evaluation"]
    assert "of 4884 clips" in caplog.text
    with pytest.raises(ManifestError, match=r"validation\.csv: no such file; give"):
        clotho.prepare(folder, tmp_path / "n.csv")


@pytest.mark.parametrize(
    "name",
    [
        "{video}.wav",
        "train/{video}.flac",
        "audio/train/Y{video}.WAV",
        "{video}_{start}.ogg",
        "Y{video}_{start}.wav",
        "deep/er/{video}_{start}_{end}.wav",
        "{video}_{start}000_{end}000.wav",
        "{video}_{start}.000_{end}.000.wav",
        "train/{number}.mp3",
    ],
)
def test_names_of_downloaded_audiocaps(tmp_path, name, caplog, write_audiocaps, videos):
    files = [
        name.format(video=v, start=30 * i, end=30 * i + 10, number=i)
        for i, v in enumerate(videos)
    ]
    folder = write_audiocaps(tmp_path / "AudioCaps", files)
    manifest = audiocaps.prepare(folder, tmp_path / "m.csv", ["train"])
    assert [Path(wav) for wav in manifest.wav] == [folder / file for file in files]
    assert list(manifest.ID) == [f"{v}_{30 * i}" for i, v in enumerate(videos)]
    assert list(manifest.caption) == [f"clip {i}" for i in range(5)]
    assert not caplog.text


def test_five_rows_of_a_clip_of_audiocaps_are_one(tmp_path, write_audiocaps):
    folder = write_audiocaps(tmp_path, ["test/BBBBBBBBBBB.wav"], "dataset")
    manifest = audiocaps.prepare(folder, tmp_path / "m.csv", ["test"])
    assert list(manifest.ID) == ["BBBBBBBBBBB_0"] and manifest.label[0] == ""
    said = captions(read_manifest(tmp_path / "m.csv").caption[0])
    assert said == [f"said, {i} $5 | x" for i in range(5)]


def test_missing_clips_of_audiocaps_are_counted_and_listed(
    tmp_path, caplog, write_audiocaps, videos
):
    folder = write_audiocaps(tmp_path, [f"{v}.wav" for v in videos[:2]])
    (folder / f"{videos[3]}.wav").touch()  # a download that failed
    manifest = audiocaps.prepare(folder, tmp_path / "m.csv", ["train", "test"])
    assert len(manifest) == 2
    assert "2 of 6 clips are there (train: 2 of 5, test: 0 of 1)" in caplog.text
    listed = (tmp_path / "m.missing.txt").read_text()
    assert listed.count("\n") == 4 and f"{videos[3]}.wav: empty" in listed
    assert all(f"{v}.wav: missing" in listed for v in (videos[2], videos[4]))


def test_bad_tables(tmp_path, write_audiocaps):
    with pytest.raises(ManifestError, match=r"train\.csv: no such file; give"):
        audiocaps.prepare(tmp_path, tmp_path / "m.csv")
    folder = write_audiocaps(tmp_path / "a", [])
    with pytest.raises(ManifestError, match="not one clip is there"):
        audiocaps.prepare(folder, tmp_path / "m.csv", ["train"])
    (folder / "train.csv").write_text(
        "audiocap_id,youtube_id,start_time,caption\n1,x,soon,rain\n"
    )
    with pytest.raises(ManifestError, match="start_time 'soon' is not a number"):
        audiocaps.prepare(folder, tmp_path / "m.csv", ["train"])


def test_ljspeech(tmp_path, caplog, clip):
    folder = tmp_path / "LJSpeech-1.1"
    clip(folder / "wavs" / "LJ001-0001.wav")
    lines = ["LJ001-0001|Printing, in|Printing, in", "LJ001-0002|being|being"]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    manifest = speech.prepare(folder, tmp_path / "m.csv")
    assert list(manifest.ID) == ["LJ001-0001"] and manifest.label[0] == "speech"
    assert "1 of 13100 clips are there" in caplog.text
    assert "LJ001-0002.wav: missing" in (tmp_path / "m.missing.txt").read_text()


def test_any_folder_of_speech(tmp_path, caplog, clip):
    for name in ("one/1.wav", "two/1.wav", "two/2.MP3", "two/3.wav", "two/3.flac"):
        clip(tmp_path / "folder" / name)
    (tmp_path / "folder" / "notes.txt").write_text("no sound")
    manifest = speech.prepare(tmp_path / "folder", tmp_path / "m.csv")
    names = ["one/1", "two/1", "two/2", "two/3.flac", "two/3.wav"]
    assert list(manifest.ID) == list(read_manifest(tmp_path / "m.csv").ID) == names
    assert not caplog.text
    with pytest.raises(ManifestError, match="none: holds no recordings"):
        speech.prepare(tmp_path / "none", tmp_path / "n.csv")


# ---- the command line ----


@pytest.fixture
def folders(esc, urban, tmp_path, clip, write_clotho, write_audiocaps, videos):
    """A small data set of each name."""
    clip(tmp_path / "LJSpeech" / "1.wav")
    files = [f"{v}.wav" for v in [*videos, "BBBBBBBBBBB"]]
    return {
        "ESC-50": esc,
        "UrbanSound8K": urban,
        "Clotho": write_clotho(tmp_path / "Clotho"),
        "AudioCaps": write_audiocaps(tmp_path / "AudioCaps", files),
        "LJSpeech": tmp_path / "LJSpeech",
    }


CHOICES = {
    "ESC-50": ["--folds", "1", "2"],
    "UrbanSound8K": ["--folds", "3"],
    "Clotho": ["--splits", "development", "validation"],
    "AudioCaps": ["--splits", "train", "test"],
    "LJSpeech": [],
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_command(name, folders, tmp_path, monkeypatch, capsys):
    output = tmp_path / "m.csv"

    def run(data_folder):
        options = ["--data_folder", str(data_folder), "--output", str(output)]
        monkeypatch.setattr(sys, "argv", ["prepare.py", *options, *CHOICES[name]])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(RECIPES / name / "prepare.py"), run_name="__main__")
        return left.value.code, capsys.readouterr()

    code, said = run(tmp_path / "nowhere")
    assert code == 2 and not output.exists()
    lines = [x for x in said.err.splitlines() if "m.csv:" not in x]  # a progress bar
    assert len(lines) == 1 and "nowhere" in lines[0]
    code, said = run(folders[name])
    assert code == 0 and "clips, 0.00 hours" in said.out
    manifest = read_manifest(output)
    assert len(manifest) and manifest.caption.map(bool).all()
    output.write_text("mine")
    code, said = run(folders[name])  # what is there is not lost
    assert code == 0 and "there already" in said.out and output.read_text() == "mine"


def test_the_command_by_itself(esc, tmp_path):
    """Without the tests' own surroundings."""
    script = [sys.executable, RECIPES / "ESC-50" / "prepare.py"]
    options = ["--data_folder", esc, "--output", tmp_path / "m.csv", "--folds", "2"]
    done = subprocess.run(
        [*script, *options],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(RECIPES.parent)},
    )
    assert done.returncode == 0 and "1 clips" in done.stdout
    assert "1 of 400 clips are there" in done.stderr
