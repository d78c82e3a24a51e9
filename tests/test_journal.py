"""The journal of an evaluation outlives a full disk and names what is damaged."""

import os

import pytest

from speechbrain_lmac.errors import UserError
from speechbrain_lmac.evaluation.journal import Journal


def test_a_full_disk_keeps_what_is_there(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    journal.append({"clip": "a", "rows": []})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"0\.jsonl: cannot be written \(No space"):
        journal.append({"clip": "b", "rows": []})
    monkeypatch.undo()
    with open(journal.file, "rb+") as file:  # what a full disk leaves
        file.truncate(journal.file.stat().st_size - 5)
    again = Journal(tmp_path)
    assert [r["clip"] for r in again.records()] == ["a"]
    again.append({"clip": "b", "rows": []})
    assert [r["clip"] for r in again.records()] == ["a", "b"]


def test_a_damaged_line_is_named(tmp_path):
    journal = Journal(tmp_path)
    journal.append({"clip": "a", "rows": []})
    journal.file.write_bytes(b"\x00\x00\n" + journal.file.read_bytes())
    with pytest.raises(UserError, match=r"0\.jsonl: line 1 is damaged"):
        journal.records()
