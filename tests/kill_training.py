"""Trains in processes of its own that kill themselves at given moments.

python kill_training.py JSON, a list of [moment, call, arguments]: each training is
forked, so that everything is imported once, and killed at that call of what the moment
names. Prints, as JSON, the signal or exit code of each, negative for a signal.
"""

import io
import json
import os
import shutil
import signal
import sys

import torch
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.train_logger import FileTrainLogger

from speechbrain_lmac import checkpoint, training
from speechbrain_lmac.brain import LMACZSBrain

MOMENTS = {
    "step": (LMACZSBrain, "fit_batch"),
    "validation": (LMACZSBrain, "evaluate_batch"),
    "log": (FileTrainLogger, "log_stats"),
    "checkpoint": (Checkpointer, "_save_checkpoint_metafile"),
    "save": (torch, "save"),
    "deletion": (shutil, "rmtree"),
    "export": (checkpoint, "export"),
}


def begun(moment, function, args, kwargs):
    """What a kill leaves behind of a call."""
    if moment == "save":
        whole = io.BytesIO()
        function(args[0], whole)
        with open(args[1], "wb") as file:
            file.write(whole.getvalue()[: whole.tell() // 2])
    elif moment == "deletion":
        next(args[0].glob("*.ckpt")).unlink()
    elif moment in ("checkpoint", "log"):
        function(*args, **kwargs)


def arm(moment, call):
    """Kills this process at a call of a function, counted from 1."""
    owner, name = MOMENTS[moment]
    function, calls = getattr(owner, name), []

    def deadly(*args, **kwargs):
        calls.append(name)
        if len(calls) < call:
            return function(*args, **kwargs)
        begun(moment, function, args, kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, deadly)


def main():
    """One process after the other."""
    codes = []
    for moment, call, arguments in json.loads(sys.argv[1]):
        child = os.fork()
        if not child:
            if moment:
                arm(moment, call)
            os.dup2(2, 1)
            os._exit(training.run(arguments))
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(json.dumps(codes))


if __name__ == "__main__":
    main()
