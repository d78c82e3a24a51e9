"""Manifests: what SpeechBrain reads back, and every bad one named."""

import logging

import pandas as pd
import pytest
import torch

from speechbrain_lmac import audio
from speechbrain_lmac.data.manifests import (
    COLUMNS,
    caption_cell,
    captions,
    read_manifest,
    write_manifest,
)
from speechbrain_lmac.data.published import Clip, build_manifest
from speechbrain_lmac.errors import ManifestError


def table(folder, count=4, missing=0, root=None):
    """A manifest of ``count`` clips, of which the first ``missing`` are absent."""
    rows = []
    for index in range(count):
        wav = folder / f"clip {index}.wav"
        if index >= missing:
            audio.write(wav, torch.zeros(100), 1000)
        place = f"{root or folder}/{wav.name}"
        rows.append([f"{index}", 0.1, place, 'a "dog", barking', "train", ""])
    write_manifest(pd.DataFrame(rows, columns=COLUMNS), folder / "m.csv")
    return folder / "m.csv"


def test_speechbrain_reads_it(tmp_path):
    from speechbrain.dataio.dataset import DynamicItemDataset

    path = table(tmp_path, root="$data_root")
    data = DynamicItemDataset.from_csv(path, replacements={"data_root": tmp_path})
    data.set_output_keys(["id", "duration", "wav", "caption", "label"])
    ours = read_manifest(path, data_root=tmp_path)
    assert len(data) == len(ours) == 4
    for item, row in zip(data, ours.itertuples(), strict=True):
        assert item["id"] == row.ID and item["wav"] == row.wav
        assert item["duration"] == row.duration == 0.1
        assert item["caption"] == row.caption == 'a "dog", barking'
        assert item["label"] == row.label == ""


def test_words_that_pandas_takes_for_nothing_stay_words(tmp_path):
    path = table(tmp_path, count=1)
    path.write_text(path.read_text().replace("train", "None"))
    assert read_manifest(path).split[0] == "None"


def test_captions():
    assert captions("a dog barks") == ["a dog barks"]
    assert captions("a dog barks | woof |  | rain") == ["a dog barks", "woof", "rain"]
    assert captions("") == []


@pytest.mark.parametrize(
    "said",
    [
        ["a dog barks", "woof"],
        ["rain | wind", "a || b ||| c"],
        ["|", "| a", "b |", "| | |"],
        ["On|on", "$5 and 100 %", "a, b", '"quoted"', "naïve Straße 犬"],
    ],
)
def test_any_captions_share_a_cell(tmp_path, said):
    cell = caption_cell(said)
    assert captions(cell) == said
    row = ["a", 0.1, str(tmp_path / "a.wav"), cell, "", ""]
    audio.write(tmp_path / "a.wav", torch.zeros(100), 1000)
    write_manifest(pd.DataFrame([row], columns=COLUMNS), tmp_path / "m.csv")
    assert captions(read_manifest(tmp_path / "m.csv").caption[0]) == said


def test_white_space_and_nothing_in_captions():
    assert captions(caption_cell([" a\tdog\n barks ", "", " "])) == ["a dog barks"]


def test_missing_columns_are_listed(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("ID,wav,caption,split\na,b,c,d\n")
    with pytest.raises(ManifestError, match=r"m\.csv.*duration, label .*README"):
        read_manifest(path)
    with pytest.raises(ManifestError, match="label"):
        write_manifest(pd.DataFrame(columns=COLUMNS[:-1]), tmp_path / "n.csv")
    assert not (tmp_path / "n.csv").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a CSV table"),
        (b"\xff\xfe\x00" * 40, "not a CSV table"),
        (b"ID,wav\na,b\nc,d,e,f\n", "not a CSV table"),
        (b"ID,duration,wav,caption,split,label\n", "no rows"),
        (b"ID,duration,wav,caption,split,label\na,long,b,c,d,e\n", "not a number"),
        (b"ID,duration,wav,caption,split,label\n" + b"a,1,b,c,d,e\n" * 2, "repeat"),
        (
            b"ID,duration,wav,caption,split,label\na,1,b, | ,d,e\n",
            "a caption, the first a",
        ),
    ],
)
def test_not_a_manifest(tmp_path, content, message):
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=message) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_no_manifest_and_no_root(tmp_path):
    with pytest.raises(ManifestError, match="no such file"):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(ManifestError, match="say where with data_root"):
        read_manifest(table(tmp_path, root="$data_root"))


def test_few_missing_files_are_dropped_with_a_warning(tmp_path, caplog):
    path = table(tmp_path, count=10, missing=1)
    with caplog.at_level(logging.WARNING):
        manifest = read_manifest(path)
    assert list(manifest.ID) == [str(index) for index in range(1, 10)]
    assert list(manifest.index) == list(range(9))
    assert "1 of 10" in caplog.text and "clip 0.wav" in caplog.text


def test_many_missing_files_are_an_error(tmp_path, caplog):
    path = table(tmp_path, count=10, missing=5)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert "5 of 10" in message and "clip 2.wav, ...;" in message
    assert "clip 3.wav" not in message
    (told,) = caplog.messages  # which has all of them
    assert all(f"clip {index}.wav" in told for index in range(5))
    assert len(read_manifest(path, max_missing=0.5)) == 5


def test_all_missing_is_always_an_error(tmp_path):
    with pytest.raises(ManifestError, match="4 of 4"):
        read_manifest(table(tmp_path, missing=4), max_missing=1.0)


def test_build_finds_other_formats_and_says_what_is_short(tmp_path, caplog):
    audio.write(tmp_path / "a.wav", torch.zeros(150), 1000)
    (tmp_path / "a.wav").rename(tmp_path / "b.flac")  # the content decides
    audio.write(tmp_path / "c.wav", torch.zeros(200), 1000)
    (tmp_path / "d.wav").write_text("no sound")
    clips = [Clip(tmp_path / f"{n}.wav", [n, n * 2], "x", n) for n in "abcd"]
    clips.append(Clip(tmp_path / "c.wav", ["c"], "z", name="z-c"))
    clips.append(Clip(tmp_path / "c.wav", ["c"], "not wanted", name="n-c"))
    output, unreadable = tmp_path / "out" / "m.csv", []
    with caplog.at_level(logging.WARNING):
        manifest = build_manifest(clips, output, {"x": 5, "y": 1, "z": 1}, unreadable)
    assert "3 of 7 clips are there (x: 2 of 5, y: 0 of 1, z: 1 of 1)" in caplog.text
    listed = output.with_suffix(".missing.txt")
    assert f"{listed} lists 2 that are not" in caplog.text
    assert listed.read_text().splitlines() == unreadable
    missing, damaged = unreadable
    assert missing == f"{tmp_path / 'a.wav'}: missing"
    assert "d.wav: cannot be read" in damaged
    assert list(manifest.ID) == ["b", "c", "z-c"]
    assert list(manifest.duration) == [0.15, 0.2, 0.2]
    assert captions(manifest.caption[0]) == ["b", "bb"]
    pd.testing.assert_frame_equal(read_manifest(output), manifest, check_dtype=False)


def test_nothing_is_said_when_nothing_is_missing(tmp_path, caplog):
    audio.write(tmp_path / "a.wav", torch.zeros(200), 1000)
    listed = tmp_path / "m.missing.txt"
    listed.write_text("of an earlier time")
    build_manifest([Clip(tmp_path / "a.wav", ["a"], "x")], tmp_path / "m.csv")
    assert not caplog.text and not listed.exists()


def test_build_without_clips(tmp_path):
    clips = [Clip(tmp_path / "a.wav", ["a"], "x")]
    with pytest.raises(ManifestError, match="not one clip is there"):
        build_manifest(clips, tmp_path / "m.csv")
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(ManifestError, match=r"not one clip can be read .*a\.wav"):
        build_manifest(clips, tmp_path / "m.csv")
    with pytest.raises(ManifestError, match="not one clip"):
        build_manifest([], tmp_path / "m.csv")
    assert not (tmp_path / "m.csv").exists()
