"""What holds for the project as a whole: set-up, yaml files."""

import inspect
import itertools
import os
import pydoc
import re
import runpy
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from unittest import mock

import pytest
import ruamel.yaml
from hyperpyyaml import resolve_references
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from speechbrain.utils.run_opts import RunOptions

import speechbrain_lmac

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "speechbrain_lmac").rglob("*.py"))
YAMLS = sorted([*ROOT.glob("hparams/*.yaml"), *ROOT.glob("recipes/**/*.yaml")])


def name(path):
    """Path as the ID of a test."""
    return path.relative_to(ROOT).as_posix()


# ---- network ----


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_network_is_blocked(family):
    with socket.socket(family) as sock:
        for connect in (sock.connect, sock.connect_ex):
            with pytest.raises(RuntimeError, match="network"):
                connect(("localhost", 9))
    with pytest.raises(RuntimeError, match="network"):
        socket.create_connection(("localhost", 9))


def test_unix_sockets_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of such a socket has at most 100 characters
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as sock:
        server.bind("socket")
        server.listen()
        sock.connect("socket")


# ---- set-up ----


@pytest.fixture(scope="module")
def metadata():
    """What setup.py hands to setuptools."""
    with mock.patch("setuptools.setup") as setup:
        runpy.run_path(str(ROOT / "setup.py"))
    return setup.call_args.kwargs


def test_version_is_the_package_version(metadata):
    assert metadata["version"] == speechbrain_lmac.__version__
    assert f"version: {metadata['version']}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{metadata['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_satisfy_the_ranges(metadata):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {}
    for requirement in (Requirement(x) for x in lines if not x.startswith("#")):
        (pin,) = requirement.specifier
        # a local version, as in 2.0+cpu, would shut out the other builds
        assert pin.operator == "==" and "+" not in pin.version, requirement
        pins[canonicalize_name(requirement.name)] = pin.version
    extras = metadata["extras_require"]
    lists = [extras[x] for x in ("test", "dev", "tensorboard")]
    for text in itertools.chain(metadata["install_requires"], *lists):
        requirement = Requirement(text)
        pin = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin), f"{text} is pinned to {pin}"


@pytest.mark.parametrize("cuda", [None, "13.0"])
def test_mend_torchaudio(tmp_path, cuda):
    library = tmp_path / "torchaudio" / "lib" / "libtorchaudio.abi3.so"
    library.parent.mkdir(parents=True)
    library.write_text("links CUDA")
    (tmp_path / "torchaudio" / "__init__.py").write_text(
        f"import os\nif os.path.exists({str(library)!r}): raise OSError('libc10_cuda')"
    )
    (tmp_path / "torch.py").write_text(
        f"__version__ = '2'\nclass version: cuda={cuda!r}"
    )

    def mend():
        return subprocess.run(
            [sys.executable, ROOT / "tools" / "mend_torchaudio.py"],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    said = mend()
    if cuda:
        assert library.exists() and "nothing to mend" in said
        return
    assert "libc10_cuda" in said and str(library) in said
    assert not library.exists()
    assert library.with_name(library.name + ".unused").read_text() == "links CUDA"
    assert "nothing to mend" in mend()


def test_no_tracked_file_knows_a_machine():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    home = re.compile(r"(?<![\w.>-])/(?:root|work|home|Users|mnt)/")
    found = []
    for path in filter(Path.is_file, (ROOT / x for x in listed.stdout.splitlines())):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{name(path)}: {line}" for line in lines if home.search(line)]
    assert not found


# ---- yaml files, in the manner of SpeechBrain's check_yaml ----


def nodes(node):
    """A yaml node and all below it."""
    yield node
    if isinstance(node, ruamel.yaml.MappingNode):
        for _, value in node.value:
            yield from nodes(value)
    elif isinstance(node, ruamel.yaml.SequenceNode):
        for value in node.value:
            yield from nodes(value)


@pytest.mark.parametrize("path", YAMLS, ids=name)
def test_yaml_names_what_exists(path):
    """References resolve; objects can be imported and take their arguments."""
    text = path.read_text(encoding="utf-8")
    top = ruamel.yaml.YAML().compose(text).value
    given = {k.value: "given" for k, v in top if str(v.tag) == "!PLACEHOLDER"}
    root = ruamel.yaml.YAML().compose(resolve_references(text, given))
    for node in nodes(root):
        kind, _, target = str(node.tag).partition(":")
        if kind not in ("!new", "!name", "!apply"):
            continue
        found = pydoc.locate(target)
        assert callable(found), f"{target} does not exist"
        try:
            signature = inspect.signature(found)
        except ValueError:  # some builtins have none
            continue
        bind = signature.bind_partial if kind == "!name" else signature.bind
        if isinstance(node, ruamel.yaml.MappingNode):
            bind(**{key.value: value for key, value in node.value})
        elif isinstance(node, ruamel.yaml.SequenceNode):
            bind(*node.value)


@pytest.mark.parametrize("path", YAMLS, ids=name)
def test_yaml_has_no_key_that_nothing_reads(path):
    text = path.read_text(encoding="utf-8")
    here = ROOT if path.parent.name == "hparams" else path.parent
    code = "\n".join(
        x.read_text(encoding="utf-8") for x in [*here.glob("*.py"), *MODULES]
    )
    run_options = {field.name for field in fields(RunOptions)}
    unread = []
    for key, value in ruamel.yaml.YAML().compose(text).value:
        key = key.value
        referenced = re.search(rf"^[^#\n]*!(?:ref|copy)[^#\n]*<{key}[\[.>]", text, re.M)
        read = re.search(rf"""(?:hparams|modules)\.{key}\b|[\[(,]\s*"{key}\"""", code)
        runs = str(value.tag).startswith("!apply")
        if not (referenced or read or runs or key in run_options):
            unread.append(key)
    assert not unread
