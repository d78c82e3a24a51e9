"""Random numbers that depend on where a training is, not on how it came there."""

import random

import numpy as np
import torch
from torch.utils.data import Dataset

from speechbrain_lmac.errors import AudioInputError

_CLIPS = 1  # so that a clip and a step of the same number draw differently


def reseed(*numbers):
    """Starts every random generator anew, from numbers such as seed, epoch and step.

    Arguments
    ---------
    *numbers : int
        Not negative; other numbers give independent draws.

    Returns
    -------
    None

    Example
    -------
    >>> reseed(1, 20)
    >>> first = torch.rand(3)
    >>> reseed(1, 20)
    >>> torch.equal(torch.rand(3), first)
    True
    """
    state = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)  # noqa: NPY002, for whoever uses it
    torch.manual_seed(state)


class SeededClips(Dataset):
    """The clips of a dataset, whose draws depend on seed, epoch and clip alone.

    So neither the number of workers or processes nor a restart in the middle of an
    epoch changes a crop. A clip that cannot be read gives its place to another one:
    batches stay as large as they are, which distributed training needs.

    Arguments
    ---------
    clips : Dataset
        From :func:`~speechbrain_lmac.data.pipeline.clip_dataset`.
    seed : int
        Of the run.
    """

    def __init__(self, clips, seed):
        self.clips, self.seed = clips, seed
        # shared with workers that live longer than an epoch
        self.epoch = torch.zeros((), dtype=torch.long).share_memory_()

    def set_epoch(self, epoch):
        """Other draws than in the epoch before."""
        self.epoch.fill_(epoch)

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index):
        """The item, with ``unreadable``, the reasons why others are not in its place.

        AudioInputError where a hundred clips in a row cannot be read.
        """
        reseed(self.seed, int(self.epoch), index, _CLIPS)
        unreadable = []
        while True:
            try:
                return {**self.clips[index], "unreadable": unreadable}
            except AudioInputError as error:
                unreadable.append(str(error))
                if len(unreadable) == 100:
                    raise
            index = int(torch.randint(len(self.clips), ()))
