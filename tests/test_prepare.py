"""Which clips a run trains on and which it is validated on."""

import pytest

from speechbrain_lmac.data import esc50, synth
from speechbrain_lmac.data.manifests import read_manifest
from speechbrain_lmac.data.prepare import prepare_captioned, prepare_manifests
from speechbrain_lmac.errors import ConfigError, ManifestError


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


def test_urbansound8k_is_beside_esc50(esc, tmp_path):
    for given in ({}, {"data_folder": esc, "train_csv": "own.csv"}):
        with pytest.raises(ConfigError, match="give data_folder, and no train_csv"):
            prepare_manifests(tmp_path, urbansound8k_folder="anywhere", **given)


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


def test_a_blank_caption_is_that_of_the_own_manifest(esc, tmp_path):
    good, blank = tmp_path / "good.csv", tmp_path / "blank.csv"
    esc50.prepare(esc, good, [2])
    blank.write_text(good.read_text().replace(",dog,", ",,"))
    for prepare in (prepare_manifests, prepare_captioned):
        for train, valid in ((blank, good), (good, blank)):
            said = r"blank\.csv: 1 clips without a caption, the first 2-200-A-0; give"
            with pytest.raises(ManifestError, match=said):
                prepare(tmp_path / "save", train_csv=train, valid_csv=valid)


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


def test_training_sets(tmp_path, esc, caplog, write_clotho, write_audiocaps, videos):
    clo = write_clotho(tmp_path / "clotho")
    caps = write_audiocaps(tmp_path / "caps", [f"{v}.wav" for v in videos])
    both = {"clotho_folder": clo, "audiocaps_folder": caps}
    clips = [f"development- né {i}" for i in range(1, 6)]
    films = [f"{v}_{30 * i}" for i, v in enumerate(videos)]

    train, valid = prepare_captioned(tmp_path / "CT", **both, training_set="CT")
    assert ids(train) == clips
    assert ids(valid) == ["validation- né 1", "validation- né 2"]
    assert "paper" not in caplog.text

    train, valid = prepare_captioned(tmp_path / "Full", **both, esc50_folder=esc)
    assert ids(train) == clips + films
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
    assert sorted(ids(train) + held_out) == sorted(films)
    _, again = prepare_captioned(tmp_path / "again", audiocaps_folder=caps, seed=3)
    assert ids(again) == held_out
    others = [
        ids(prepare_captioned(tmp_path / f"{i}", audiocaps_folder=caps, seed=i)[1])
        for i in range(4, 9)
    ]
    assert any(other != held_out for other in others)


def test_clotho_without_its_validation_split(tmp_path, caplog, write_clotho):
    folder = write_clotho(tmp_path / "c")
    for file in (folder / "validation").iterdir():
        file.unlink()
    train, valid = prepare_captioned(tmp_path / "save", folder)
    assert "no validation split of Clotho" in caplog.text
    assert len(ids(train)) == 3 and len(ids(valid)) == 2


def test_too_few_clips(esc, tmp_path):
    own = tmp_path / "own.csv"
    esc50.prepare(esc, own, [2])
    with pytest.raises(ConfigError, match="1 clips to train on are too few"):
        prepare_captioned(tmp_path / "a", train_csv=own)
    with pytest.raises(ConfigError, match=r"subset 0\.1 leaves no clip"):
        prepare_captioned(tmp_path / "b", train_csv=own, valid_csv=own, subset=0.1)
    with pytest.raises(ConfigError, match="exclude_csv names recordings"):
        prepare_manifests(tmp_path / "c", exclude_csv=own)


def test_a_random_share(tmp_path, write_clotho, write_audiocaps, videos):
    names = [f"{v}.wav" for v in videos]
    caps = write_audiocaps(tmp_path / "caps", names)
    clo = write_clotho(tmp_path / "clotho", counts=(16, 2, 1))

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
