"""For the tests and the doctests of the package: no network, one seed, this copy."""

import os
import socket
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"

import hypothesis
import pytest
import torch
from speechbrain.utils.importutils import LazyModule

# hypothesis asks every module for its file, which makes SpeechBrain import k2 and fail
LazyModule.__file__ = None

# processes that a test starts import the package from here, not an installed one
_paths = [str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _paths))

# the same examples in every run, however slow the machine
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Connecting or looking up a host raises, and not an OSError, which is retried."""

    def guarded(call):
        def connect(sock, address):
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                raise RuntimeError(f"a test reached for the network: {address}")
            return call(sock, address)

        return connect

    def getaddrinfo(host, *args, **kwargs):
        raise RuntimeError(f"a test reached for the network: {host}")

    monkeypatch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(autouse=True)
def seed():
    """Every test starts from the same random state."""
    torch.manual_seed(0)
