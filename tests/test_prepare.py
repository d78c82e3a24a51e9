"""The publishers' layouts become manifests, and these a training and a validation."""

import logging
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from speechbrain_lmac import audio
from speechbrain_lmac.data import audiocaps, clotho, esc50, speech, synth, urbansound8k
from speechbrain_lmac.data.manifests import captions, read_manifest
from speechbrain_lmac.data.prepare import prepare_captioned, prepare_manifests
from speechbrain_lmac.errors import ConfigError, ManifestError

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


def clip(path, samples=800):
    audio.write(path, torch.zeros(samples), 8000)


def write_clotho(folder, places, counts=(6, 3, 1)):
    """Clotho with so many clips in its splits, all but the first of each there."""
    folder.mkdir(exist_ok=True)
    for split, place, count in zip(clotho.SPLITS, places, counts, strict=True):
        lines = [",".join(["file_name", *clotho.CAPTIONS])]
        for i in range(count):
            lines.append(
                f" né {i}.wav," + ",".join(f"{split} {i} {c}" for c in "abcde")
            )
            if i or count == 1:
                clip(folder / place / f" né {i}.wav")
        table = folder / f"clotho_captions_{split}.csv"
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


LAYOUTS = [tuple(clotho.SPLITS), tuple(f"audio/{x}" for x in clotho.SPLITS)]


@pytest.mark.parametrize("places", [*LAYOUTS, ("clips", "clips", "clips")])
def test_clotho(tmp_path, places, caplog):
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
    missing = (tmp_path / "m.missing.txt").read_text() if not together else ""
    assert missing.count(" né 0.wav: missing") == 2 - 2 * together


def test_splits_of_clotho(tmp_path, caplog):
    folder = write_clotho(tmp_path / "Clotho", LAYOUTS[0])
    (folder / "clotho_captions_validation.csv").unlink()
    manifest = clotho.prepare(folder, tmp_path / "m.csv", ["development", "evaluation"])
    assert list(manifest.split) == ["development"] * 5 + ["evaluation"]
    assert "of 4884 clips" in caplog.text
    with pytest.raises(ManifestError, match=r"validation\.csv: no such file; give"):
        clotho.prepare(folder, tmp_path / "n.csv")


VIDEOS = ["-abcdefghij", "Yabcdefghij", "a_b-c_d-e_f", "AAAAAAAAAAA", "aaaaaaaaaaa"]


def write_audiocaps(folder, names, tables=""):
    """AudioCaps: five clips to train on, of which those named are there, and a test."""
    head = "audiocap_id,youtube_id,start_time,caption\n"
    rows = [f"{i},{v},{30 * i},clip {i}\n" for i, v in enumerate(VIDEOS)]
    (folder / tables).mkdir(parents=True, exist_ok=True)
    (folder / tables / "train.csv").write_text(head + "".join(rows))
    rows = [f'{70 + i},BBBBBBBBBBB,0,"said, {i} $5 | x"\n' for i in range(5)]
    (folder / tables / "test.csv").write_text(head + "".join(rows))
    for name in names:
        clip(folder / name)
    return folder


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
def test_names_of_downloaded_audiocaps(tmp_path, name, caplog):
    files = [
        name.format(video=v, start=30 * i, end=30 * i + 10, number=i)
        for i, v in enumerate(VIDEOS)
    ]
    folder = write_audiocaps(tmp_path / "AudioCaps", files)
    manifest = audiocaps.prepare(folder, tmp_path / "m.csv", ["train"])
    assert [Path(wav) for wav in manifest.wav] == [folder / file for file in files]
    assert list(manifest.ID) == [f"{v}_{30 * i}" for i, v in enumerate(VIDEOS)]
    assert list(manifest.caption) == [f"clip {i}" for i in range(5)]
    assert not caplog.text


def test_five_rows_of_a_clip_of_audiocaps_are_one(tmp_path):
    folder = write_audiocaps(tmp_path, ["test/BBBBBBBBBBB.wav"], "dataset")
    manifest = audiocaps.prepare(folder, tmp_path / "m.csv", ["test"])
    assert list(manifest.ID) == ["BBBBBBBBBBB_0"] and manifest.label[0] == ""
    said = captions(read_manifest(tmp_path / "m.csv").caption[0])
    assert said == [f"said, {i} $5 | x" for i in range(5)]


def test_missing_clips_of_audiocaps_are_counted_and_listed(tmp_path, caplog):
    folder = write_audiocaps(tmp_path, [f"{v}.wav" for v in VIDEOS[:2]])
    (folder / f"{VIDEOS[3]}.wav").touch()  # a download that failed
    manifest = audiocaps.prepare(folder, tmp_path / "m.csv", ["train", "test"])
    assert len(manifest) == 2
    assert "2 of 6 clips are there (train: 2 of 5, test: 0 of 1)" in caplog.text
    listed = (tmp_path / "m.missing.txt").read_text()
    assert listed.count("\n") == 4 and f"{VIDEOS[3]}.wav: empty" in listed
    assert all(f"{v}.wav: missing" in listed for v in (VIDEOS[2], VIDEOS[4]))


def test_bad_tables(tmp_path):
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


def test_ljspeech(tmp_path, caplog):
    folder = tmp_path / "LJSpeech-1.1"
    clip(folder / "wavs" / "LJ001-0001.wav")
    lines = ["LJ001-0001|Printing, in|Printing, in", "LJ001-0002|being|being"]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    manifest = speech.prepare(folder, tmp_path / "m.csv")
    assert list(manifest.ID) == ["LJ001-0001"] and manifest.label[0] == "speech"
    assert "1 of 13100 clips are there" in caplog.text
    assert "LJ001-0002.wav: missing" in (tmp_path / "m.missing.txt").read_text()


def test_any_folder_of_speech(tmp_path, caplog):
    for name in ("one/1.wav", "two/1.wav", "two/2.MP3"):
        clip(tmp_path / "folder" / name)
    (tmp_path / "folder" / "notes.txt").write_text("no sound")
    manifest = speech.prepare(tmp_path / "folder", tmp_path / "m.csv")
    assert list(manifest.ID) == ["one/1", "two/1", "two/2"]
    assert not caplog.text
    with pytest.raises(ManifestError, match="none: holds no recordings"):
        speech.prepare(tmp_path / "none", tmp_path / "n.csv")


# ---- what a run trains and validates on ----


def test_synthesised_sounds(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(synth, "make_dataset", lambda *given: asked.append(given))
    prepare_manifests(tmp_path, None, clips_per_sound=7, seed=5)
    assert asked == [(tmp_path, 7, 5)]


def ids(manifest):
    return list(read_manifest(manifest).ID)


def test_folds_of_a_run(esc, tmp_path):
    train, valid = prepare_manifests(tmp_path / "save", esc, [1], [2])
    assert (ids(train), ids(valid)) == (["1-100-A-20"], ["2-200-A-0"])
    with pytest.raises(ConfigError, match=r"valid_folds is \[\]"):
        prepare_manifests(tmp_path / "save", esc, [1], [])


def test_own_manifests(esc, tmp_path, monkeypatch):
    own = tmp_path / "own.csv"
    esc50.prepare(esc, own, [2])
    own.write_text(own.read_text().replace(str(esc), "$data_root"))
    given = {"train_csv": own, "data_root": esc.name}
    monkeypatch.chdir(esc.parent)
    train, valid = prepare_manifests(tmp_path / "a", esc, valid_folds=[1], **given)
    assert (ids(train), ids(valid)) == (["2-200-A-0"], ["1-100-A-20"])
    assert read_manifest(train).wav[0] == str(esc / "audio" / "2-200-A-0.wav")
    for prepare in (prepare_manifests, prepare_captioned):
        train, valid = prepare(tmp_path / prepare.__name__, valid_csv=own, **given)
        assert ids(train) == ids(valid) == ["2-200-A-0"]
        with pytest.raises(ManifestError, match="lie below"):
            prepare(tmp_path / "b", train_csv=own, valid_csv=own)
    with pytest.raises(ConfigError, match="valid_csv is not set"):
        prepare_manifests(tmp_path / "b", **given)


def test_manifests_are_made_once(esc, tmp_path, monkeypatch):
    made, prepare, own = [], esc50.prepare, tmp_path / "own.csv"
    prepare(esc, own, [2])
    monkeypatch.setattr(esc50, "prepare", lambda *a: made.append(a) or prepare(*a))

    def again(**changed):
        made.clear()
        given = {"train_folds": [1], "valid_csv": own} | changed
        train, _ = prepare_manifests(tmp_path / "save", esc, **given)
        assert train.is_file()
        return len(made)

    assert [again(), again(), again(seed=1), again(seed=1)] == [1, 0, 1, 0]
    own.write_text(own.read_text().replace(",dog,", ",a dog,"))
    assert [again(seed=1), again(seed=1)] == [1, 0]
    (tmp_path / "save" / "train.csv").unlink()  # or a kill before it was written
    assert [again(seed=1), again(seed=1)] == [1, 0]


def test_training_sets(tmp_path, esc, caplog):
    clo = write_clotho(tmp_path / "clotho", LAYOUTS[0])
    caps = write_audiocaps(tmp_path / "caps", [f"{v}.wav" for v in VIDEOS])
    both = {"clotho_folder": clo, "audiocaps_folder": caps}
    clips = [f"development- né {i}" for i in range(1, 6)]
    videos = [f"{v}_{30 * i}" for i, v in enumerate(VIDEOS)]

    train, valid = prepare_captioned(tmp_path / "CT", **both, training_set="CT")
    assert ids(train) == clips
    assert ids(valid) == ["validation- né 1", "validation- né 2"]
    assert "paper" not in caplog.text

    train, valid = prepare_captioned(tmp_path / "Full", **both, esc50_folder=esc)
    assert ids(train) == clips + videos
    assert ids(valid) == ["1-100-A-20"]
    assert read_manifest(valid).label[0] == "crying baby"
    said = (
        "Full: Clotho (5 clips), AudioCaps (5 clips); without the paper's MACS, FSD50K"
    )
    assert said in caplog.text

    caplog.clear()
    train, _ = prepare_captioned(tmp_path / "AC", audiocaps_folder=caps, seed=3)
    assert "without the paper's Clotho, MACS, FSD50K" in caplog.text
    held_out = ids(tmp_path / "AC" / "valid.csv")
    assert "2 training clips are held out" in caplog.text
    assert sorted(ids(train) + held_out) == sorted(videos)
    _, again = prepare_captioned(tmp_path / "again", audiocaps_folder=caps, seed=3)
    assert ids(again) == held_out
    others = [
        ids(prepare_captioned(tmp_path / f"{i}", audiocaps_folder=caps, seed=i)[1])
        for i in range(4, 9)
    ]
    assert any(other != held_out for other in others)


def test_clotho_without_its_validation_split(tmp_path, caplog):
    folder = write_clotho(tmp_path / "c", LAYOUTS[0])
    for file in (folder / "validation").iterdir():
        file.unlink()
    train, valid = prepare_captioned(tmp_path / "save", folder)
    assert "no validation split of Clotho" in caplog.text
    assert len(ids(train)) == 3 and len(ids(valid)) == 2


def test_a_random_share(tmp_path):
    names = [f"{v}.wav" for v in VIDEOS]
    caps = write_audiocaps(tmp_path / "caps", names)
    clo = write_clotho(tmp_path / "clotho", LAYOUTS[0], (16, 2, 1))

    def share(number, subset, seed):
        given = {"clotho_folder": clo, "audiocaps_folder": caps, "subset": subset}
        return ids(prepare_captioned(tmp_path / f"{number}", **given, seed=seed)[0])

    every = share(0, 1.0, 1)
    quarter = share(1, 0.25, 1)
    assert len(every) == 20 and len(quarter) == len(set(quarter)) == 5
    assert set(quarter) < set(every)
    assert share(2, 0.25, 1) == quarter
    assert any(share(seed + 3, 0.25, seed) != quarter for seed in range(2, 5))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Full needs clotho_folder or audiocaps_folder: give it, or train_csv"),
        ({"training_set": "CT"}, "CT needs clotho_folder: give"),
        ({"training_set": "All"}, "'All' is unknown: choose one of CT, Full"),
        ({"subset": 0}, "subset is 0: give a share"),
        ({"subset": 25}, "subset is 25: give a share"),
    ],
)
def test_settings_that_do_not_go_together(tmp_path, given, message):
    with pytest.raises(ConfigError, match=message):
        prepare_captioned(tmp_path, **given)


# ---- the command line ----


def make(name, folder):
    """A small data set of that name."""
    if name == "Clotho":
        return write_clotho(folder, LAYOUTS[0])
    if name == "AudioCaps":
        files = [f"{v}.wav" for v in [*VIDEOS, "BBBBBBBBBBB"]]
        return write_audiocaps(folder, files)
    clip(folder / "1.wav")
    return folder


CHOICES = {
    "ESC-50": ["--folds", "1", "2"],
    "UrbanSound8K": ["--folds", "3"],
    "Clotho": ["--splits", "development", "validation"],
    "AudioCaps": ["--splits", "train", "test"],
    "LJSpeech": [],
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_command(name, esc, urban, tmp_path, monkeypatch, capsys):
    folder = {"ESC-50": esc, "UrbanSound8K": urban}.get(name)
    folder = folder or make(name, tmp_path / name)
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
    code, said = run(folder)
    assert code == 0 and "clips, 0.00 hours" in said.out
    manifest = read_manifest(output)
    assert len(manifest) and manifest.caption.map(bool).all()
    output.write_text("mine")
    code, said = run(folder)  # what is there is not lost
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
