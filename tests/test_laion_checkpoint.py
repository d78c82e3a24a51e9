"""Checkpoints of LAION-CLAP, written by the tests in the shape of the published files.

A tensor is one number that is expanded to its true shape, so that a file is small.
"""

import collections
import hashlib
import importlib.util
import json
import os
import pickle
import struct
import types
import zipfile
from unittest import mock

import numpy as np
import pytest
import torch

from speechbrain_lmac.classifiers import laion_checkpoint
from speechbrain_lmac.classifiers.laion_checkpoint import PUBLISHED, read_checkpoint
from speechbrain_lmac.classifiers.laion_shapes import ARCHITECTURES, identify, shapes
from speechbrain_lmac.errors import CheckpointError, ConfigError

POSITIONS = "text_branch.embeddings.position_ids"
INTEGERS = ("relative_position_index", "num_batches_tracked")


def weights(architecture, prefix="", extra=None):
    """A state dict under official names, as ``state_dict()`` gives it."""
    state = collections.OrderedDict()
    for number, (name, shape) in enumerate(
        (shapes(architecture) | (extra or {})).items()
    ):
        integer = name.endswith(INTEGERS)
        value = torch.tensor(number, dtype=torch.int64 if integer else torch.float32)
        state[prefix + name] = value.expand(shape)
        if name == "text_branch.embeddings.LayerNorm.bias":  # transformers < 4.31
            state[prefix + POSITIONS] = torch.arange(514).expand(1, -1)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    return state


def official(architecture, **extra):
    """What ``laion_clap.training.main`` saves; the schedule's cosine is NumPy's."""
    group = {"lr": 0.5 * (1 + np.cos(np.pi * 0.3)) * 1e-4, "betas": (0.9, 0.99)}
    moments = {"step": 7, "exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)}
    return {
        "epoch": 15,
        "name": "2022_12_01-model_HTSAT-lr_0.0001",
        "state_dict": weights(architecture, "module.", extra),
        "optimizer": {"state": {0: moments}, "param_groups": [group | {"params": [0]}]},
        "scaler": {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 3},
    }


class OldNumPy(types.ModuleType):
    """A pickle module that writes NumPy's scalars by their address before NumPy 2."""

    class Pickler(pickle._Pickler):
        """The one in Python, since only that can be changed."""

        def save_global(self, found, name=None):
            """An address, as the opcode c."""
            if getattr(found, "__qualname__", "") == "scalar":
                self.write(b"cnumpy.core.multiarray\nscalar\n")
                self.memoize(found)
            else:
                super().save_global(found, name)


def save(content, path, numpy=1):
    module = OldNumPy("pickle") if numpy == 1 else pickle
    torch.save(content, path, pickle_module=module, pickle_protocol=2)
    return path


def refused(
    path, architecture="HTSAT-tiny", match="", error=CheckpointError, **options
):
    with pytest.raises(error, match=match) as caught:
        read_checkpoint(path, architecture, **options)
    message = str(caught.value)
    assert "\n" not in message and (error is ConfigError or path.name in message)
    return message


# ---- what is read ----


@pytest.mark.parametrize("numpy", [1, 2])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_official_shape(tmp_path, architecture, numpy):
    path = save(official(architecture), tmp_path / "epoch_15.pt", numpy)
    address = b"numpy.core.multiarray" if numpy == 1 else b"numpy._core.multiarray"
    assert address in path.read_bytes()
    with pytest.raises(pickle.UnpicklingError, match="scalar"):
        torch.load(path, weights_only=True)  # without the names that are allowed
    state = read_checkpoint(path, architecture)
    assert {n: tuple(v.shape) for n, v in state.items()} == shapes(architecture)
    for name, value in weights(architecture).items():
        if name != POSITIONS:
            assert state[name].dtype == value.dtype and torch.equal(state[name], value)


def test_nothing_stays_allowed(tmp_path):
    before = set(torch.serialization.get_safe_globals())  # their order is by chance
    read_checkpoint(save(official("PANN-14"), tmp_path / "x.pt"), "PANN-14")
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapped", [True, False])
def test_plain_state_dicts(tmp_path, prefix, wrapped):
    state = weights("HTSAT-tiny", prefix)
    path = save({"state_dict": state} if wrapped else state, tmp_path / "x.pt")
    assert set(read_checkpoint(path, "HTSAT-tiny")) == set(shapes("HTSAT-tiny"))


def test_without_positions(tmp_path):
    state = weights("HTSAT-tiny")
    del state[POSITIONS]
    path = save(state, tmp_path / "x.pt")
    assert set(read_checkpoint(str(path), "HTSAT-tiny")) == set(shapes("HTSAT-tiny"))


def test_before_zip_files(tmp_path):
    torch.save(
        weights("PANN-14"), tmp_path / "x.pt", _use_new_zipfile_serialization=False
    )
    assert len(read_checkpoint(tmp_path / "x.pt", "PANN-14")) == len(shapes("PANN-14"))


def write_safetensors(path, found):
    """Zeros of these shapes, in a file whose zeros take no place on the disk."""
    header, end = {}, 0
    for name, shape in found.items():
        integer = name.endswith(INTEGERS)
        size = int(np.prod(shape)) * (8 if integer else 4)
        kind = "I64" if integer else "F32"
        offsets = [end, end + size]
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": offsets}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(path, 8 + len(text) + end)
    return path


@pytest.mark.parametrize("prefix", ["", "module."])
def test_safetensors(tmp_path, prefix):
    found = {prefix + n: shape for n, shape in shapes("HTSAT-tiny").items()}
    path = write_safetensors(tmp_path / "clap.safetensors", found)
    state = read_checkpoint(path, "HTSAT-tiny")
    assert {n: tuple(v.shape) for n, v in state.items()} == shapes("HTSAT-tiny")
    os.truncate(path, path.stat().st_size - 1)
    refused(path, match="truncated or damaged; download it again")


# ---- the names and shapes are those of laion-clap ----


@pytest.fixture(scope="module")
def laion():
    """Names and shapes of the package's own models."""
    for package in ("laion_clap", "torchlibrosa", "transformers"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    from transformers import RobertaConfig, RobertaModel

    from speechbrain_lmac.classifiers import laion

    module = laion._clap_module("model")
    configs = os.path.join(os.path.dirname(module.__file__), "model_configs")

    def roberta(name):
        with torch.device("meta"):
            return RobertaModel(RobertaConfig(**laion._ROBERTA))

    def build(amodel, **fusion):
        with open(os.path.join(configs, amodel + ".json")) as file:
            config = json.load(file)
        config["text_cfg"]["model_type"] = "roberta"
        with mock.patch.object(RobertaModel, "from_pretrained", roberta):
            state = module.CLAP(**config, **fusion).state_dict()
        return {name: tuple(value.shape) for name, value in state.items()}

    return build


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_shapes_are_those_of_the_package(laion, architecture):
    assert laion(architecture) == shapes(architecture)
    assert identify(laion(architecture)) == architecture


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [("HTSAT-tiny", "aff_2d"), ("HTSAT-tiny", "channel_map"), ("PANN-14", "daf_2d")],
)
def test_fusion_is_recognised(laion, architecture, kind):
    found = laion(architecture, enable_fusion=True, fusion_type=kind)
    assert identify(found) == f"{architecture} with fusion"


# ---- what is refused ----


def test_another_architecture(tmp_path):
    tiny = save(official("HTSAT-tiny"), tmp_path / "tiny.pt")
    base = save(official("HTSAT-base"), tmp_path / "base.pt")
    pann = save(official("PANN-14"), tmp_path / "pann.pt")
    message = refused(tiny, "HTSAT-base", "looks like HTSAT-tiny, not HTSAT-base")
    assert "music_speech_audioset_epoch_15_esc_89.98.pt" in message
    assert "or set the architecture to HTSAT-tiny" in message
    message = refused(base, "HTSAT-tiny", "looks like HTSAT-base, not HTSAT-tiny")
    assert "such as 630k-audioset-best.pt" in message
    refused(tiny, "PANN-14", "looks like HTSAT-tiny, not PANN-14")
    refused(pann, "HTSAT-tiny", "looks like PANN-14, not HTSAT-tiny")


def test_fusion(tmp_path):
    extra = {"audio_branch.patch_embed.fusion_model.local_att.0.weight": (24, 96, 1, 1)}
    path = save(official("HTSAT-tiny", **extra), tmp_path / "x.pt")
    message = refused(path, match="looks like HTSAT-tiny with fusion, not HTSAT-tiny")
    assert "such as 630k-audioset-best.pt" in message and "set the" not in message


def test_missing_and_foreign_names(tmp_path):
    content = official("HTSAT-tiny")
    del content["state_dict"]["module.audio_branch.layers.2.blocks.5.mlp.fc1.weight"]
    path = save(content, tmp_path / "x.pt")
    message = refused(path, match="looks like HTSAT-tiny, but 1 weights are missing")
    assert "such as 'audio_branch.layers.2.blocks.5.mlp.fc1.weight'" in message
    path = save(official("HTSAT-tiny", mine=(2, 3)), tmp_path / "y.pt")
    refused(path, match="but 1 weights .* such as 'mine'; download it again")
    content["state_dict"] = {"module.logit_scale_a": torch.ones(())}
    refused(save(content, tmp_path / "z.pt"), match="something else than CLAP")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("audio_model.audio_encoder.norm.weight", "a ClapModel of transformers"),
        ("caption_encoder.base.embeddings.weight", "Microsoft CLAP"),
        ("sed_model.bn0.weight", "HTS-AT alone"),
        ("conv_block1.conv1.weight", "PANN alone"),
        ("attend.value.weight", "a decoder of this package"),
        ("encoder.layers.0.weight", "something else than CLAP"),
    ],
)
def test_other_models(tmp_path, name, kind):
    path = save({name: torch.ones(2)}, tmp_path / "x.pt")
    refused(path, match=f"looks like {kind}.*, not HTSAT-tiny; give a checkpoint of")


def test_other_text_branches():
    bert = shapes("HTSAT-tiny")
    bert["text_branch.embeddings.word_embeddings.weight"] = (30522, 768)
    assert identify(bert) == "HTSAT-tiny without RoBERTa"
    bart = {n: s for n, s in shapes("PANN-14").items() if "text_branch" not in n}
    bart["text_branch.shared.weight"] = (50265, 768)
    assert identify(bart) == "PANN-14 without RoBERTa"


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        3,
        {},
        {"state_dict": {}},
        {"state_dict": [torch.ones(2)]},
        {"epoch": 3, "optimizer": {}},
        {"model": {"conv_block1.conv1.weight": torch.ones(2)}},
        {0: torch.ones(2)},
        torch.ones(3),
    ],
)
def test_no_state_dict(tmp_path, content):
    refused(save(content, tmp_path / "x.pt"), match="no state dict in it")


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.9, 0.999])
def test_truncated(tmp_path, share):
    path = save(official("HTSAT-tiny"), tmp_path / "x.pt")
    os.truncate(path, int(share * path.stat().st_size))
    refused(path, match="truncated or damaged; download it again|is no checkpoint")


@pytest.mark.parametrize(
    "content",
    [
        b"version https://git-lfs.github.com/spec/v1\noid sha256:80\nsize 1863587645\n",
        b"<!doctype html><html><title>429 Too Many Requests</title></html>",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\x80\x02}q\x00(",
        b"PK\x03\x04" + bytes(100),
    ],
)
def test_no_checkpoint(tmp_path, content):
    (tmp_path / "x.pt").write_bytes(content)
    refused(tmp_path / "x.pt", match="; download")
    (tmp_path / "x.safetensors").write_bytes(content)
    refused(tmp_path / "x.safetensors", match="; download")


def test_damaged_anywhere(tmp_path):
    """Flipped bytes of the pickle are one line or a checkpoint, never another error."""
    path = save(official("PANN-14"), tmp_path / "x.pt")
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        length = archive.getinfo("x/data.pkl").file_size
    start = whole.index(b"\x80\x02")
    generator = np.random.default_rng(0)
    errors = 0
    for _ in range(200):
        damaged = bytearray(whole)
        for at in generator.integers(start, start + length, 3):
            damaged[at] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            read_checkpoint(path, "PANN-14")
        except CheckpointError as error:
            assert "\n" not in str(error)
            errors += 1
    assert errors > 100


def test_nothing_of_numpy_is_run(tmp_path):
    """Damaged dtypes crash NumPy: a scalar is read as nothing at all."""
    path = save(official("PANN-14"), tmp_path / "x.pt")
    with torch.serialization.safe_globals(laion_checkpoint._NUMPY):
        content = torch.load(path, weights_only=True)
    (group,) = content["optimizer"]["param_groups"]
    assert isinstance(group["lr"], laion_checkpoint._Ignored)


def test_malicious(tmp_path):
    mark = tmp_path / "mark"

    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {mark}",)

    content = official("HTSAT-tiny") | {"name": Attack()}
    for path in (save(content, tmp_path / "x.pt"), save(Attack(), tmp_path / "y.pt")):
        refused(path, match="holds something else than weights")
    (tmp_path / "z.pt").write_bytes(pickle.dumps(Attack(), protocol=2))
    refused(tmp_path / "z.pt", match="holds something else than weights")
    assert not mark.exists()
    pickle.loads(pickle.dumps(Attack()))
    assert mark.exists()  # it would have


def test_no_such_file(tmp_path):
    refused(tmp_path / "no.pt", match="no such file; download one from https://hugg")
    refused(tmp_path, match="no such file")


@pytest.mark.parametrize("name", ["HTSAT-large", "htsat-tiny", ""])
def test_unknown_architecture(tmp_path, name):
    refused(
        tmp_path / "x.pt", name, "give HTSAT-tiny, HTSAT-base, PANN-14", ConfigError
    )


# ---- checksums ----


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_name_with_another_content(tmp_path, name):
    path = save(official("HTSAT-tiny"), tmp_path / name)
    message = refused(path, match="SHA-256 .* is not the published")
    assert PUBLISHED[name][1][:12] in message and "rename it" in message


def test_published_list():
    for name, (architecture, digest) in PUBLISHED.items():
        assert name.endswith(".pt") and architecture.split(" with")[0] in ARCHITECTURES
        assert len(digest) == 64 and set(digest) <= set("0123456789abcdef")
    assert len({digest for _, digest in PUBLISHED.values()}) == len(PUBLISHED)


def test_checksum(tmp_path, monkeypatch):
    path = save(official("HTSAT-tiny"), tmp_path / "mine.pt")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for sum_ in (digest, digest.upper()):
        assert read_checkpoint(path, "HTSAT-tiny", sha256=sum_)
    refused(path, match="is not the given 000000", sha256="0" * 64)
    monkeypatch.setitem(laion_checkpoint.PUBLISHED, "mine.pt", ("HTSAT-tiny", digest))
    assert read_checkpoint(path, "HTSAT-tiny")
    refused(path, match="is not the given", sha256="0" * 64)


def test_checksum_comes_before_the_pickle(tmp_path, monkeypatch):
    path = save(official("HTSAT-tiny"), tmp_path / next(iter(PUBLISHED)))
    monkeypatch.setattr(torch, "load", None)
    refused(path, match="is not the published")
