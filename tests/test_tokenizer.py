"""A tokenizer that is RoBERTa's, or one line that says what to do."""

import json
import shutil
import socket
import subprocess
import sys

import pytest

from speechbrain_lmac import hub
from speechbrain_lmac.classifiers.tokenizer import load_tokenizer, located
from speechbrain_lmac.errors import CheckpointError, ConfigError

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
PROMPTS = ["a dog barking", "a cat", "rain on a tin roof", "Öl, 日本語!"]


def train(size=1200, special=SPECIAL):
    """A byte-level BPE of made-up words."""
    from tokenizers import ByteLevelBPETokenizer

    syllables = ["ba", "do", "gi", "ku", "le", "mo", "na", "po", "ri", "su", "ta", "vu"]
    words = [a + b + c for a in syllables for b in syllables for c in syllables]
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        [" ".join(words)] * 2,
        vocab_size=size,
        min_frequency=1,
        special_tokens=special,
        show_progress=False,
    )
    return bpe


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same tokenizer in both of its forms."""
    from transformers import RobertaTokenizer

    pair, single = tmp_path_factory.mktemp("pair"), tmp_path_factory.mktemp("single")
    train().save_model(str(pair))
    RobertaTokenizer.from_pretrained(pair).save_pretrained(single)
    for file in single.iterdir():
        if file.name != "tokenizer.json":
            file.unlink()
    return {"pair": pair, "single": single}


@pytest.mark.parametrize("form", ["pair", "single"])
def test_folder(folders, form):
    assert len(list(folders[form].iterdir())) == (2 if form == "pair" else 1)
    tokenizer = load_tokenizer(folders[form])
    ids = [tuple(tokenizer(prompt).input_ids) for prompt in PROMPTS]
    assert len(set(ids)) == len(PROMPTS)
    assert all(i[0] == 0 and i[-1] == 2 for i in ids)
    for prompt, i in zip(PROMPTS, ids, strict=True):
        assert tokenizer.decode(i, skip_special_tokens=True) == prompt
    batch = tokenizer(PROMPTS, padding="max_length", truncation=True, max_length=77)
    assert {len(row) for row in batch.input_ids} == {77}
    assert batch.input_ids[0][-1] == 1 and batch.attention_mask[0][-1] == 0


def test_located(folders, monkeypatch, tmp_path):
    """A folder is found from anywhere; the name of a repository stays one."""
    monkeypatch.chdir(folders["pair"].parent)
    found = located(folders["pair"].name)
    monkeypatch.chdir(tmp_path)
    assert load_tokenizer(found)(PROMPTS[0]).input_ids[0] == 0
    assert located("roberta-base") == "roberta-base"


def test_forms_agree(folders):
    pair, single = (load_tokenizer(str(folder)) for folder in folders.values())
    for prompt in PROMPTS:
        assert pair(prompt).input_ids == single(prompt).input_ids


def test_the_trap_is_there(tmp_path):
    """Or the guard could go: no files, no error, and every sentence is the same."""
    from transformers import RobertaTokenizer

    tokenizer = RobertaTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert tokenizer("a dog").input_ids == tokenizer("rain").input_ids


def refused(error, source, match):
    with pytest.raises(error, match=match) as caught:
        load_tokenizer(source)
    message = str(caught.value)
    assert "\n" not in message and "--tokenizer_folder DIR" in message


@pytest.mark.parametrize("missing", ["both", "merges.txt", "vocab.json"])
def test_folder_without_a_tokenizer(folders, tmp_path, missing):
    if missing != "both":
        shutil.copytree(folders["pair"], tmp_path, dirs_exist_ok=True)
        (tmp_path / missing).unlink()
    refused(ConfigError, tmp_path, "no tokenizer in it")


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.json", "merges.txt"])
@pytest.mark.parametrize("content", [b"<html>", b"\xff\xfe", b"{}", b"", "half"])
def test_damaged_files(folders, tmp_path, name, content):
    form = "single" if name == "tokenizer.json" else "pair"
    shutil.copytree(folders[form], tmp_path, dirs_exist_ok=True)
    file = tmp_path / name
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    refused(CheckpointError, tmp_path, "damaged|not RoBERTa's")


def test_too_few_tokens(tmp_path):
    train(size=900).save_model(str(tmp_path))
    refused(CheckpointError, tmp_path, "it has 900 tokens")


def test_of_another_model(tmp_path):
    """GPT-2's files have the same names, and no <s>."""
    train(special=["<|endoftext|>"]).save_model(str(tmp_path))
    refused(CheckpointError, tmp_path, "not RoBERTa's tokenizer, it reads")


@pytest.mark.parametrize("source", ["/no/such/folder", "./roberta-base", "a b", ""])
def test_neither_folder_nor_repository(source, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    refused(ConfigError, source, "no such folder|no tokenizer in it")


def test_hub_is_offline():
    refused(CheckpointError, "nobody/roberta", "hub did not give it")


def test_a_silent_hub_is_not_waited_for(tmp_path):
    """It takes the connection, and then says nothing: the program ends all the same."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        environment = {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.getsockname()[1]}",
            "HF_HOME": str(tmp_path),
            "no_proxy": "127.0.0.1",
        }
        code = "from speechbrain_lmac.classifiers.tokenizer import load_tokenizer\n"
        code += "load_tokenizer('roberta-base')"
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert ended.returncode == 1
    assert "CheckpointError: roberta-base: no such folder, and the hub" in ended.stderr


def test_what_counts_as_an_answer(monkeypatch):
    import ssl
    from email.message import Message
    from urllib.error import HTTPError, URLError

    from huggingface_hub import constants

    def hub_that(error):
        def urlopen(request, timeout):
            raise error

        return urlopen

    assert not hub.answers()  # tests are offline
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for error, answered in (
        (HTTPError("", 503, "busy", Message(), None), True),
        (URLError(ssl.SSLError("own certificates")), True),
        (URLError(ConnectionRefusedError()), False),
        (TimeoutError(), False),
    ):
        monkeypatch.setattr("urllib.request.urlopen", hub_that(error))
        assert hub.answers() == answered


def test_cache_before_hub(folders, tmp_path, monkeypatch):
    """What is in the hub's cache is used without a question."""
    from huggingface_hub import constants

    repository = tmp_path / "models--some--roberta"
    snapshot = repository / "snapshots" / ("0" * 40)
    shutil.copytree(folders["single"], snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "fetch", None)
    assert len(load_tokenizer("some/roberta")) == 1200


def test_from_the_hub(folders, monkeypatch):
    asked = {}

    def snapshot_download(repository, **options):
        asked.update(options, repository=repository)
        return str(folders["pair"])

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert len(load_tokenizer()) == 1200
    assert asked["repository"] == "roberta-base"
    assert set(asked["allow_patterns"]) == {
        "tokenizer.json",
        "vocab.json",
        "merges.txt",
    }


def test_vocabulary_is_json(folders):
    """As the real file, so that the tests say something about it."""
    vocabulary = json.loads((folders["pair"] / "vocab.json").read_text())
    assert [vocabulary[token] for token in SPECIAL] == [0, 1, 2, 3, 4]
