"""What has been measured so far, one line a clip, safe against a kill at any moment."""

import json
import os
from pathlib import Path

from speechbrain_lmac import atomic
from speechbrain_lmac.errors import ConfigError


class Journal:
    """Records of clips in files of one folder, one file for each process.

    A record is one line of JSON, on the disk before the next clip begins. A last line
    that a kill or a full disk left unfinished is dropped, and that clip done again.

    Arguments
    ---------
    folder : str | Path
        Made if it is not there.
    rank : int
        Number of the process, whose file :meth:`append` writes to.

    Example
    -------
    >>> journal = Journal(getfixture("tmp_path"))
    >>> journal.append({"clip": "a", "rows": []})
    >>> journal.records()
    [{'clip': 'a', 'rows': []}]
    """

    def __init__(self, folder, rank=0):
        self.folder = Path(folder)
        atomic.make_folder(self.folder)
        self.file = self.folder / f"{rank}.jsonl"
        self._mended = False

    def records(self):
        """The records of all processes; ConfigError names a damaged file."""
        found = []
        for file in sorted(self.folder.glob("*.jsonl")):
            for number, line in enumerate(_whole_lines(file), start=1):
                try:
                    found.append(json.loads(line))
                except ValueError as error:
                    raise ConfigError(
                        f"{file}: line {number} is damaged; delete the file to "
                        "measure its clips again"
                    ) from error
        return found

    def append(self, record):
        """Adds a record; ConfigError, with all earlier ones safe, where that fails."""
        try:
            if not self._mended and self.file.exists():
                whole = sum(map(len, _whole_lines(self.file)))
                os.truncate(self.file, whole)
            self._mended = True
            with open(self.file, "ab") as file:
                file.write(json.dumps(record).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ConfigError(
                f"{self.file}: cannot be written ({error.strerror}); what was measured "
                "before is kept: make room and run again"
            ) from error


def _whole_lines(file):
    """The lines of a file that end."""
    lines = file.read_bytes().splitlines(keepends=True)
    return [line for line in lines if line.endswith(b"\n")]
