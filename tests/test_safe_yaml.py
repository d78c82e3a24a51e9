"""The yaml of an export can do no harm: what it may hold, and what is refused."""

import pytest

from speechbrain_lmac import safe_yaml
from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.errors import ConfigError


def refusal(file):
    """The message of an error: one line with the file and a remedy."""
    with pytest.raises(ConfigError) as caught:
        safe_yaml.read(file)
    message = str(caught.value)
    assert message.startswith(str(file)) and ";" in message and "\n" not in message
    return message


@pytest.fixture
def yaml_file(tmp_path):
    """Writes a yaml and gives its path."""

    def write(text):
        file = tmp_path / "hyperparams.yaml"
        file.write_text(text)
        return file

    return write


@pytest.mark.parametrize(
    "text",
    [
        "x: !apply:os.system ['touch {mark}']",
        "x: !applyref:os.system ['touch {mark}']",
        "x: !!python/object/apply:os.system ['touch {mark}']",
        "x: !!python/name:os.system ''",
        "x: !!python/module:os ''",
        "x: !module:os",
        "x: !name:os.system",
        "x: !name:speechbrain_lmac.decoder.MaskDecoder",
        "x: !include:other.yaml",
        "x: !copy <y>",
        "x: !PLACEHOLDER",
        "x: !tuple (1, 2)",
        "x: (1, 2)",
        "x: (!!python/object/apply:os.system ['touch {mark}'])",
        "x: \"(!!python/object/apply:os.system ['touch {mark}'])\"",
        "x: !new:subprocess.Popen {{args: 'touch {mark}', shell: true}}",
        "x: !new:torch.nn.Linear {{in_features: 2, out_features: 3}}",
        "x: !new:speechbrain_lmac.checkpoint.Path {{}}",
        "x: !new:speechbrain_lmac.checkpoint.torch.nn.Linear {{}}",
        "x: !new:speechbrain_lmac.decoder.nn.Linear {{}}",
        "x: !new:speechbrain_lmac.audio.read {{path: /dev/null}}",
        "x: !new:speechbrain_lmac.nothing.Here {{}}",
        "x: !new:speechbrain_lmac.explainers.base.Scene {{}}",
        "x: !new:speechbrain_lmacs.decoder.MaskDecoder {{}}",
        "x: [1, {{y: !apply:os.system ['touch {mark}']}}]",
        "!apply:os.system ['touch {mark}']: 1",
        "!!python/object/apply:os.system ['touch {mark}']",
        "y: 1\nx: !ref <y.__class__>",
        "y: 1\nx: !ref <y> ** 9",
        "x: !ref <y>\ny: 1",
        "x: &a [*a]",
        "x: &a 1\ny: *a",
        "x: 1\nx: 2",
        "<<: {{x: 1}}",
        "1: x",
        "x: 2001-12-14",
        "x: !!binary aGVsbG8=",
        "x: !!set {{a}}",
        "[x, y]",
        "x: [1",
        "",
        "x: 1\n---\nx: 2",
        "[" * 5000,
    ],
)
def test_yaml_that_is_refused(yaml_file, tmp_path, text):
    mark = tmp_path / "mark"
    refusal(yaml_file(text.format(mark=mark)))
    assert not mark.exists()


def test_refusal_names_the_tag(yaml_file):
    file = yaml_file("decoder: !apply:os.system [ls]")
    assert "!apply:os.system" in refusal(file)


@pytest.mark.parametrize("name", ["interpreter.Pretrained", "decoder.nn.Linear"])
def test_borrowed_names_are_not_ours(yaml_file, name):
    """A model that one of our modules only imports."""
    file = yaml_file(f"x: !new:speechbrain_lmac.{name} {{}}")
    assert f"{name} is not allowed" in refusal(file)


def test_nothing_is_built_before_all_is_checked(yaml_file, monkeypatch):
    def build(*arguments):
        raise AssertionError("built")

    monkeypatch.setattr(Mini, "__init__", build)
    mini = "!new:speechbrain_lmac.classifiers.mini.Mini {folder: mini}"
    file = yaml_file(f"classifier: {mini}\nx: !apply:os.getcwd []")
    refusal(file)


def test_plain_values(yaml_file):
    text = "a: 1\nb: -6.8e1\nc: [x, true, null]\nd: {e: 'two words'}\nf: !ref <a>"
    assert safe_yaml.read(yaml_file(text)) == {
        "a": 1,
        "b": -68.0,
        "c": ["x", True, None],
        "d": {"e": "two words"},
        "f": 1,
    }


@pytest.mark.parametrize(
    "line",
    [
        "decoder: !new:speechbrain_lmac.decoder.MaskDecoder {wide: 3}",
        "decoder: !new:speechbrain_lmac.decoder.MaskDecoder {classifier: mini}",
        "decoder: !!int ''",
        "decoder: !!float ''",
        "decoder: !!bool foo",
    ],
)
def test_wrong_arguments(yaml_file, line):
    file = yaml_file(line)
    assert "decoder" in refusal(file).removeprefix(str(file))
