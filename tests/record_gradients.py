"""Trains, and writes down the gradients of each step; by itself or under torchrun.

python record_gradients.py JSON, a list of [arguments, file, step]: trainings one after
the other. The gradients go to the file; a training with a step stops before it.
"""

import json
import os
import sys

import torch
from torch import distributed

from speechbrain_lmac import training
from speechbrain_lmac.brain import LMACZSBrain
from speechbrain_lmac.errors import UserError

step, initialise = LMACZSBrain.optimizers_step, training.ddp_init_group


def initialise_once(options):
    """Processes cannot join each other twice under one torchrun."""
    if not distributed.is_initialized():
        initialise(options)


def main():
    """All of them in this process."""
    training.ddp_init_group = initialise_once
    leave, distributed.destroy_process_group = (
        distributed.destroy_process_group,
        lambda: None,
    )
    for arguments, file, last in json.loads(sys.argv[1]):
        gradients = []

        def record(self, gradients=gradients, last=last):
            if last == len(gradients):
                raise UserError("stopped")
            decoder = self.hparams.decoder
            now = {n: p.grad.clone() for n, p in decoder.named_parameters()}
            gradients.append(now)
            step(self)

        LMACZSBrain.optimizers_step = record
        assert training.run(arguments) == (2 if last else 0)
        if os.environ.get("RANK", "0") == "0":
            torch.save(gradients, file)
    if distributed.is_initialized():
        leave()


if __name__ == "__main__":
    main()
