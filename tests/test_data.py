"""From manifests to batches: clips of one length, and what goes with them."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_lmac import audio, training
from speechbrain_lmac.brain import LMACZSBrain
from speechbrain_lmac.classifiers.mini import MiniCLAP
from speechbrain_lmac.data import pipeline
from speechbrain_lmac.data.pipeline import (
    ClipReader,
    caption_cells,
    clip_dataset,
    has_classes,
)
from speechbrain_lmac.data.published import Clip, build_manifest
from speechbrain_lmac.errors import ManifestError
from speechbrain_lmac.testing import short_training

RATE = 8000
YAML = Path(__file__).resolve().parents[1] / "hparams" / "lmac_zs_mini.yaml"
HEADER = "ID,duration,wav,caption,split,label\n"


def ramp(samples):
    """A clip in which every sample says where it is; exact in float16."""
    return torch.arange(1, samples + 1) / 2048


@pytest.fixture
def clip(tmp_path):
    """Writes a clip; returns its path."""

    def write(name, samples):
        audio.write(tmp_path / name, ramp(samples), RATE)
        return str(tmp_path / name)

    return write


def write_manifest(folder, rows):
    text = "".join(f"{i},1.0,{wav},{caption},,\n" for i, wav, caption in rows)
    (folder / "m.csv").write_text(HEADER + text)
    return folder / "m.csv"


# ---- clips ----


def test_a_longer_clip_is_cut(clip):
    path = clip("a.wav", 1000)
    beginning = ClipReader(RATE, 0.05)(path)
    torch.testing.assert_close(beginning, ramp(400), atol=1e-4, rtol=0)
    reader, starts = ClipReader(RATE, 0.05, random=True), set()
    for _ in range(30):
        part = reader(path)
        start = round(2048 * part[0].item()) - 1
        starts.add(start)
        torch.testing.assert_close(
            part, ramp(1000)[start : start + 400], atol=1e-3, rtol=0
        )
    assert len(starts) > 10 and starts <= set(range(601))


def test_a_shorter_clip_is_padded_and_turned(clip):
    path = clip("a.wav", 100)
    padded = torch.cat([ramp(100), torch.zeros(300)])
    beginning = ClipReader(RATE, 0.05)(path)
    torch.testing.assert_close(beginning, padded, atol=1e-4, rtol=0)
    reader, shifts = ClipReader(RATE, 0.05, random=True), set()
    for _ in range(30):
        turned = reader(path)
        shift = (int(turned.argmax()) - 99) % 400
        shifts.add(shift)
        torch.testing.assert_close(turned, padded.roll(shift), atol=1e-4, rtol=0)
    assert len(shifts) > 10


def test_a_shorter_clip_is_repeated_where_the_classifier_does(clip):
    """As often as it fits; turned in training, with the silence where it was."""
    path = clip("a.wav", 150)
    beginning = ClipReader(RATE, 0.05, repeat=True)(path)
    expected = torch.cat([ramp(150), ramp(150), torch.zeros(100)])
    torch.testing.assert_close(beginning, expected, atol=1e-4, rtol=0)
    reader, shifts = ClipReader(RATE, 0.05, random=True, repeat=True), set()
    for _ in range(30):
        turned = reader(path)
        shift = (int(turned[:150].argmax()) - 149) % 150
        shifts.add(shift)
        once = ramp(150).roll(shift)
        expected = torch.cat([once, once, torch.zeros(100)])
        torch.testing.assert_close(turned, expected, atol=1e-4, rtol=0)
    assert len(shifts) > 10


def test_repetition_leaves_longer_clips_alone(clip):
    for samples in (400, 1000):
        path = clip(f"{samples}.wav", samples)
        parts = [ClipReader(RATE, 0.05, repeat=r)(path) for r in (True, False)]
        assert torch.equal(*parts)


@pytest.fixture
def clips_of_training(tmp_path, monkeypatch):
    """Those to train on and those to validate with: eight and four of 0.8 seconds."""

    class Reached(Exception):
        pass

    def fit(brain, *args, **kwargs):
        raise Reached(brain.clips)

    def prepare(**overrides):
        given = short_training(tmp_path) | {"output_folder": tmp_path / "run"}
        given |= {"clip_seconds": 1.6} | overrides
        with pytest.raises(Reached) as reached:
            training.run([str(YAML), *(f"--{k}={v}" for k, v in given.items())])
        return reached.value.args[0].values()

    monkeypatch.setattr(LMACZSBrain, "fit", fit)
    return prepare


@pytest.mark.parametrize("repeats", [True, False])
def test_a_training_asks_the_classifier(clips_of_training, monkeypatch, repeats):
    """Its clips, and those of its validation, are filled as the classifier does."""
    monkeypatch.setattr(MiniCLAP, "repeats_short_clips", repeats)
    train, valid = clips_of_training(speeds=[1.0])
    for clips in (train, valid):
        first, second = clips[0]["sig"].chunk(2)
        assert len(first) == 12800 and first.any()
        assert torch.equal(first, second) == repeats
    assert second.any() == repeats


def test_a_training_asks_its_yaml(clips_of_training):
    """How fast clips are played in training, and how many there are in validation."""
    train, valid = clips_of_training(speeds=[2.0], valid_clips=2)
    for clips, seconds in ((train, 0.4), (valid, 0.8)):
        lengths = [item["sig"].count_nonzero() / 16000 for item in clips]
        assert max(lengths) == pytest.approx(seconds, rel=0.01)
    said = [item["captions"] for item in valid]
    assert len(train) == 8 and said == ["rain", "clock tick"]


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_speed_moves_the_pitch_of_random_parts_alone(tmp_path, speed):
    path, tone = str(tmp_path / "tone.wav"), torch.arange(8000) * 1000 / RATE
    audio.write(path, 0.5 * torch.sin(2 * torch.pi * tone), RATE)

    def pitch(**settings):
        part = ClipReader(RATE, 0.05, speeds=[speed], **settings)(path)
        return int(torch.fft.rfft(part).abs().argmax()) / 0.05

    assert pitch(random=True) == pytest.approx(1000 * speed, abs=20)
    assert pitch() == pytest.approx(1000, abs=20)


def test_random_parts_follow_the_seed(clip):
    path = clip("a.wav", 1000)
    reader = ClipReader(RATE, 0.05, random=True)
    torch.manual_seed(3)
    first = [reader(path) for _ in range(4)]
    torch.manual_seed(3)
    assert all(torch.equal(reader(path), part) for part in first)


@pytest.mark.parametrize("keep", [True, False])
def test_a_kept_clip_is_read_once(clip, keep, monkeypatch):
    path, reads, read = clip("a.wav", 400), [], audio.read

    def counted(path, rate):
        reads.append(path)
        return read(path, rate)

    monkeypatch.setattr(pipeline.audio, "read", counted)
    reader = ClipReader(RATE, 0.05, keep=keep)
    first, again = reader(path), reader(path)
    assert len(reads) == (1 if keep else 2)
    assert first.dtype == torch.float32 and torch.equal(first, again)
    again.zero_()  # what a batch does with it is not kept
    assert torch.equal(reader(path), first)


@pytest.mark.parametrize("loudest", [65504.0, 1e5, 1e11])
def test_a_kept_clip_may_be_louder_than_float16_holds(tmp_path, loudest):
    path, samples = str(tmp_path / "a.wav"), loudest * ramp(400) / ramp(400).max()
    soundfile.write(path, samples.numpy(), RATE, subtype="FLOAT")
    reader = ClipReader(RATE, 0.05)
    first = reader(path)
    torch.testing.assert_close(first, samples, rtol=1e-3, atol=0)
    first.zero_()  # what a batch does with it is not kept
    torch.testing.assert_close(reader(path), samples, rtol=1e-3, atol=0)
    half = reader.kept[path].dtype == torch.float16
    assert half == (loudest < 1e5)  # memory is spent on the loud ones alone


def test_the_rate_is_the_classifiers(clip):
    assert len(ClipReader(16000, 0.05)(clip("a.wav", 400))) == 800


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_any_file_through_a_manifest(tmp_path, suffix, rate, channels):
    """A tone comes back at its pitch, level and length, whatever it was stored as."""
    path = tmp_path / "Übung 1, 犬 & (dog)" / f" l'été $5.{suffix}"
    path.parent.mkdir()
    tone = 0.25 * np.sin(2 * np.pi * 440 * np.arange(rate // 2) / rate)
    soundfile.write(path, np.stack([tone, -0.2 * tone][:channels], 1), rate)
    rows = build_manifest([Clip(path, ["a tone"], "")], tmp_path / "m.csv")
    assert rows.duration[0] == pytest.approx(0.5, abs=0.06)  # mp3 has whole frames
    (item,) = clip_dataset(tmp_path / "m.csv", ClipReader(16000, 0.4))
    spectrum = torch.fft.rfft(item["sig"]).abs()
    assert item["sig"].shape == (6400,)
    assert spectrum.argmax() == 440 * 0.4
    level = 0.25 if channels == 1 else 0.1  # the mean of the channels
    assert item["sig"][1600:4800].abs().max() == pytest.approx(level, rel=0.15)


# ---- datasets ----


def test_items_and_cells(clip, tmp_path):
    rows = [
        ("a", clip("a.wav", 400), "rain | it rains"),
        ("b", clip("b.wav", 50), "wind"),
        ("c", clip("c.wav", 900), "rain | it rains"),
    ]
    dataset = clip_dataset(write_manifest(tmp_path, rows), ClipReader(RATE, 0.05))
    items = {item["id"]: item for item in dataset}
    assert list(items) == ["a", "b", "c"]
    assert {len(item["sig"]) for item in items.values()} == {400}
    assert items["c"]["captions"] == "rain | it rains"
    assert caption_cells(dataset) == ["rain | it rains", "wind"]
    dataset.data_ids = ["b"]
    assert caption_cells(dataset) == ["wind"]


def test_missing_files_are_counted_and_left_out(clip, tmp_path, caplog):
    path = clip("a.wav", 400)
    rows = [(f"c{i}", path, "rain") for i in range(10)]
    rows.insert(4, ("gone", tmp_path / "gone.wav", "wind"))
    manifest = write_manifest(tmp_path, rows)
    with caplog.at_level(logging.WARNING):
        dataset = clip_dataset(manifest, ClipReader(RATE, 0.05))
    assert "1 of 11 audio files are missing" in caplog.text
    assert "gone.wav" in caplog.text
    assert dataset.data_ids == [f"c{i}" for i in range(10)]
    assert len(list(dataset)) == 10
    assert caption_cells(dataset) == ["rain"]


def test_too_many_missing_files(clip, tmp_path):
    rows = [("a", clip("a.wav", 400), "rain"), ("b", tmp_path / "b.wav", "wind")]
    with pytest.raises(ManifestError, match="1 of 2 audio files are missing"):
        clip_dataset(write_manifest(tmp_path, rows), ClipReader(RATE, 0.05))


def test_missing_columns(tmp_path):
    (tmp_path / "m.csv").write_text("ID,duration,wav\na,1.0,a.wav\n")
    with pytest.raises(
        ManifestError, match="lacks the columns caption, split"
    ) as error:
        clip_dataset(tmp_path / "m.csv", ClipReader(RATE, 0.05))
    assert str(tmp_path / "m.csv") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_blank_caption(clip, tmp_path):
    path = clip("a.wav", 400)
    rows = [("a", path, "rain"), ("b", path, " | "), ("c", path, "")]
    with pytest.raises(ManifestError, match="2 clips without a caption, the first b"):
        clip_dataset(write_manifest(tmp_path, rows), ClipReader(RATE, 0.05))


def test_a_data_root(clip, tmp_path):
    clip("a.wav", 400)
    manifest = write_manifest(tmp_path, [("a", "$data_root/a.wav", "rain")])
    (item,) = clip_dataset(manifest, ClipReader(RATE, 0.05), data_root=tmp_path)
    assert len(item["sig"]) == 400
    with pytest.raises(ManifestError, match=r"\$data_root"):
        clip_dataset(manifest, ClipReader(RATE, 0.05))


def test_any_sign_in_a_caption(clip, tmp_path):
    """SpeechBrain's own reader takes a dollar sign for a placeholder."""
    said = "{a} $5 bill, $data_root: 100 % \\n"
    rows = [("a", clip("a.wav", 400), f'"{said}"')]
    (item,) = clip_dataset(write_manifest(tmp_path, rows), ClipReader(RATE, 0.05))
    assert item["captions"] == said


@pytest.mark.parametrize(("labels", "classes"), [("xy", True), (["x", ""], False)])
def test_clips_of_classes_have_labels(clip, tmp_path, labels, classes):
    path = clip("a.wav", 400)
    rows = [f"{i},0.05,{path},rain,,{label}\n" for i, label in enumerate(labels)]
    (tmp_path / "m.csv").write_text(HEADER + "".join(rows))
    dataset = clip_dataset(tmp_path / "m.csv", ClipReader(RATE, 0.05))
    assert has_classes(dataset) == classes
