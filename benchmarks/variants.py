"""Short trainings that are compared with each other, each made once."""

import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def train(name, folder, options):
    """Trains a decoder unless the same command exported it already.

    Arguments
    ---------
    name : str
        What it is called.
    folder : Path
        For what the training writes; one that was broken off goes on.
    options : list of str
        Of ``train.py``.

    Returns
    -------
    Path
        The export. CalledProcessError where the training fails, which has said why.
    """
    command = ["train.py", "hparams/lmac_zs_mini.yaml", "--output_folder", str(folder)]
    command = shlex.join([*command, *options])
    done, export = folder / "exported_by.txt", folder / "export"
    if done.exists() and done.read_text() == command:
        print(f"{name}: exported already")
        return export
    print(f"{name}: {command}")
    subprocess.run([sys.executable, *shlex.split(command)], cwd=ROOT, check=True)
    done.write_text(command)
    return export
