"""What an evaluation does with bad settings, other decoders and broken clips."""

import json
import shutil

import pandas as pd
import pytest
import soundfile
import speechbrain as sb
import torch

from speechbrain_lmac import audio, checkpoint
from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.evaluation import command, provenance, runner
from speechbrain_lmac.evaluation.clips import load_clips
from speechbrain_lmac.evaluation.study import Study
from speechbrain_lmac.interpreter import LMACZSInterpreter
from speechbrain_lmac.settings import load_settings
from speechbrain_lmac.testing import random_classifier


def loaded(arguments):
    """The yaml of a command line, with its overrides."""
    hparams_file, _, overrides = sb.parse_arguments(arguments)
    return load_settings(hparams_file, overrides)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dataset": "GTZAN"}, "dataset 'GTZAN' is unknown"),
        ({"methods": "[lime]"}, "method 'lime' is unknown"),
        ({"methods": "[]"}, "no method is chosen"),
        ({"conditions": "[underwater]"}, "condition 'underwater' is unknown"),
        ({"domains": "[wavelet]"}, "masking domain 'wavelet' is unknown"),
        ({"domains": "[]"}, "domains is empty"),
        ({"scale": "prompts"}, "scale is prompts"),
        ({"folds": "4"}, "folds is 4: give a list"),
        ({"folds": "[]"}, "folds is empty"),
        ({"folds": "[9]"}, "folds [9]: ESC-50 has folds 1 to 5"),
        ({"clips": "0"}, "clips is 0"),
        ({"curve_fractions": "[0.5, 0.1]"}, "curve_fractions [0.5, 0.1]"),
        ({"curve_fractions": "[a]"}, "curve_fractions ['a']"),
        ({"template": "a sound"}, "template 'a sound'"),
        ({"snr_db": "loud"}, "snr_db 'loud'"),
        ({"snr_db": "null"}, "snr_db 'None'"),
        ({"snr_db": ".nan"}, "snr_db 'nan'"),
        ({"snr_db": "5000"}, "snr_db '5000'"),
        ({"clips": "true"}, "clips is True"),
        ({"interpreter": "null"}, "interpreter is None"),
        ({"stage": "a"}, "stage a is none of 4"),
        ({"data_folder": "nowhere"}, "esc50.csv: no such file"),
        ({"interpreter": "no where"}, "no where: no such folder"),
        ({"nonsense": "1"}, "nonsense"),
        ({"methods": "[control_other]", "clips": "1"}, "nothing was measured"),
    ],
)
def test_bad_input_is_one_line(command_line, tmp_path, capsys, given, said):
    assert runner.run(command_line(tmp_path / "run", **given)) == 2
    lines = capsys.readouterr().err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1 and said in errors[0]


@pytest.mark.parametrize(
    "given", ["{}", "'{}'", "{}, isn't it", "the sound of {}", '"{}"']
)
def test_a_template_is_given_with_and_without_quotes(command_line, tmp_path, given):
    """``{}`` at its beginning is no map of yaml; the record has it as it was meant."""
    arguments = command_line(tmp_path / "run", template=given, clips=1)
    assert runner.run(arguments) == 0
    yaml = (tmp_path / "run" / "hyperparams.yaml").read_text()
    meant = given.strip("'\"")
    assert provenance.plain(yaml)["template"] == meant
    assert f", template {meant}," in (tmp_path / "run" / "table.md").read_text()
    seen = []
    kept = [option for option in arguments if not option.startswith("--conditions")]
    assert command.run(seen.append, kept) == 0
    assert seen[0].hparams["template"] == meant


@pytest.mark.parametrize(
    ("method", "setting", "said"),
    [
        ("smoothgrad", "samples", "0 noisy copies"),
        ("integrated_gradients", "steps", "0 steps of integrated gradients"),
    ],
)
def test_an_explainer_that_does_nothing(
    command_line, tmp_path, capsys, method, setting, said
):
    given = {"methods": f"[{method}]", "explainers": f"{{{method}: {{{setting}: 0}}}}"}
    assert runner.run(command_line(tmp_path / "run", **given)) == 2
    assert f"error: {said}" in capsys.readouterr().err


def test_a_decoder_of_another_classifier(command_line, evaluated, tmp_path, capsys):
    checkpoint.save_mini(random_classifier(seed=7), tmp_path / "other")
    (tmp_path / "export").mkdir()
    for file in (evaluated / "export").iterdir():
        (tmp_path / "export" / file.name).write_bytes(file.read_bytes())
    yaml = tmp_path / "export" / "hyperparams.yaml"
    text = yaml.read_text().replace(str(evaluated / "mini"), str(tmp_path / "other"))
    yaml.write_text(text)
    given = {"interpreter": tmp_path / "export"}
    assert runner.run(command_line(tmp_path / "run", **given)) == 2
    assert "trained for another classifier" in capsys.readouterr().err


def test_each_condition_is_what_it_is_named_for(command_line, evaluated, tmp_path):
    given = {"snr_db": 7, "speech_folder": evaluated / "speech"}
    known = loaded(command_line(tmp_path, **given))["known_conditions"]
    found = {
        name: (type(made).__name__, getattr(made, "snr_db", None))
        for name, made in known.items()
    }
    assert found == {
        "in_domain": ("InDomain", None),
        "another_clip": ("WithAnotherClip", 7),
        "white_noise": ("WithWhiteNoise", 7),
        "speech": ("WithSpeech", 7),
        "two_sources": ("TwoSources", 0),
    }


def test_a_law_in_the_yaml_wins_over_the_interpreters(
    command_line, evaluated, tmp_path
):
    """For the explainer that sets it alone; the rest is the interpreter's."""
    mods = LMACZSInterpreter.from_hparams(evaluated / "export").mods
    settings = {"masking_law": "linear", "mask_floor_db": -50.0}
    checkpoint.export(tmp_path / "linear", mods.decoder, mods.classifier, settings)
    given = {
        "interpreter": tmp_path / "linear",
        "methods": "[scorecam, gscorecam]",
        "explainers": "{gscorecam: {law: log}}",
    }
    hparams = loaded(command_line(tmp_path / "run", **given))
    measurement = runner.Evaluation(hparams).rows.measurement
    study = Study.from_settings(hparams)
    of_study = {name: make(study.classifier) for name, make in study.makers.items()}
    floor = mods.classifier.stft.full_scale * 10 ** (-50 / 20)
    for explainers, masking in (
        (measurement.explainers, measurement.columns.maskings["stft"]),
        (of_study, study.masking),
    ):
        used = {name: e.maskings["stft"] for name, e in explainers.items()}
        assert (used["scorecam"].law, used["gscorecam"].law) == ("linear", "log")
        assert masking.law == "linear"
        assert used["gscorecam"].floor == masking.floor == pytest.approx(floor)


@pytest.mark.parametrize("repeats", [False, True])
def test_short_clips_are_filled_as_the_classifier_does(tmp_path, repeats):
    (tmp_path / "meta").mkdir()
    table = "filename,fold,category\n1.wav,1,dog\n"
    (tmp_path / "meta" / "esc50.csv").write_text(table)
    audio.write(tmp_path / "audio" / "1.wav", 0.1 + 0.1 * torch.rand(16000), 16000)
    classifier = random_classifier()
    classifier.repeats_short_clips, classifier.window_seconds = repeats, 10.0
    clips = load_clips("ESC-50", tmp_path, [1], classifier, tmp_path / "m.csv")
    waveform = clips.read(clips.ids[0])
    seconds = 10 if repeats else 5
    assert len(waveform) == seconds * 16000
    # all of the window, or the one second that the clip has
    assert (waveform != 0).sum() == 16000 * (seconds if repeats else 1)


def test_speech_without_a_folder_is_left_out_and_said(command_line, tmp_path):
    given = {"conditions": "[in_domain, speech]", "methods": "[lmac_zs]", "clips": 1}
    assert runner.run(command_line(tmp_path / "run", **given)) == 0
    rows = pd.read_csv(tmp_path / "run" / "results.csv")
    assert set(rows["condition"]) == {"in_domain"}
    text = (tmp_path / "run" / "table.md").read_text()
    assert "Conditions left out, without a folder or a method: speech." in text


def test_controls_that_cannot_be_made_are_said(command_line, tmp_path):
    """Of a single clip there is no other, and of a clip as it is no source."""
    methods = "[lmac_zs, control_ideal, control_other]"
    given = {"methods": methods, "clips": 1}
    assert runner.run(command_line(tmp_path / "run", **given)) == 0
    rows = pd.read_csv(tmp_path / "run" / "results.csv")
    assert set(rows["method"]) == {"lmac_zs"}
    said = (
        "Methods left out: control_ideal in in_domain (needs to know the sources); "
        "control_other in in_domain (needs a clip of another class)."
    )
    assert said in (tmp_path / "run" / "table.md").read_text().splitlines()
    assert f"% {said}" in (tmp_path / "run" / "table.tex").read_text().splitlines()


def test_methods_that_all_have_rows_are_not_left_out(command_line, tmp_path):
    assert runner.run(command_line(tmp_path / "run", clips=2)) == 0
    assert "Methods left out" not in (tmp_path / "run" / "table.md").read_text()


def test_clips_that_are_damaged_or_missing_are_skipped_and_counted(
    command_line, evaluated, tmp_path
):
    folder = tmp_path / "ESC-50"
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    table = (evaluated / "ESC-50" / "meta" / "esc50.csv").read_text()
    (folder / "meta" / "esc50.csv").write_text(table + "5-gone.wav,1,dog\n")
    for file in (evaluated / "ESC-50" / "audio").iterdir():
        (folder / "audio" / file.name).write_bytes(file.read_bytes())
    (folder / "audio" / "1-wind.wav").write_text("no sound")  # seen in its header
    broken = torch.full((1000,), torch.nan).numpy()  # seen when it is read
    soundfile.write(folder / "audio" / "2-rain.wav", broken, 16000, subtype="FLOAT")
    audible = (folder / "audio" / "3-rain.wav").read_bytes()
    (folder / "audio" / "4-silent.wav").write_bytes(audible)
    given = {"data_folder": folder, "conditions": "[in_domain, another_clip]"}
    assert runner.run(command_line(tmp_path / "run", **given)) == 0
    rows = pd.read_csv(tmp_path / "run" / "results.csv")
    assert set(rows["clip"]) == {"3-rain", "4-silent"}
    text = (tmp_path / "run" / "table.md").read_text()
    assert "2 clips; 3 skipped as unreadable" in text
    assert "1-wind.wav" in text and "2-rain.wav" in text
    assert "5-gone.wav: missing" in text


def test_a_class_that_the_data_set_does_not_have(
    command_line, evaluated, tmp_path, capsys
):
    shutil.copytree(evaluated / "ESC-50", tmp_path / "ESC-50")
    table = tmp_path / "ESC-50" / "meta" / "esc50.csv"
    table.write_text(table.read_text().replace(",rain\n", ",drizzle\n"))
    given = {"data_folder": tmp_path / "ESC-50"}
    assert runner.run(command_line(tmp_path / "run", **given)) == 2
    assert "class 'drizzle' is none of ESC-50's" in capsys.readouterr().err


@pytest.mark.parametrize("trained", ["stft", "mel"])
def test_a_decoder_of_another_grid(command_line, evaluated, tmp_path, capsys, trained):
    """Neither the evaluation nor a sanity check measures it there."""
    classifier = Mini(evaluated / "mini")
    decoder = MaskDecoder(classifier, domains=[trained])
    settings = {"masking_law": "log", "mask_floor_db": -68.0}
    checkpoint.export(tmp_path / "export", decoder, classifier, settings)
    other = {"stft": "mel", "mel": "stft"}[trained]
    given = {"interpreter": tmp_path / "export", "domains": f"[{other}]"}
    arguments = command_line(tmp_path / "run", **given)
    assert runner.run(arguments) == 2
    said = f'trained for masks on {trained}, not on {other}; give --domains "[{trained}'
    assert said in capsys.readouterr().err
    with pytest.raises(ConfigError, match=f"trained for masks on {trained}"):
        Study.from_settings(loaded(arguments))


def test_versions_that_a_run_goes_on_under_are_kept(tmp_path, monkeypatch, caplog):
    file = tmp_path / "versions.json"
    for torch_version in ("1", "1", "2", "2", "3", "1"):
        monkeypatch.setattr(
            provenance, "versions", lambda v=torch_version: {"torch": v}
        )
        provenance.write_versions(file)
    later = [{"torch": "2"}, {"torch": "3"}]
    assert json.loads(file.read_text()) == {"torch": "1", "later": later}
    assert caplog.text.count("goes on under another torch") == 2
    file.write_text("{")
    provenance.write_versions(file)
    assert json.loads(file.read_text()) == {"torch": "1"}
