"""What several explainers need of one clip, computed once, and timed for each."""

import time

import torch


def clock(device):
    """Seconds of a clock, read when the device has done what it was given.

    Arguments
    ---------
    device : torch.device
        The classifier's.

    Returns
    -------
    float
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Memory:
    """The last thing that was computed of a scene, for others who need the same.

    ``spared`` are the seconds that it would have taken again, so that a method can be
    timed as if it were alone.

    Example
    -------
    >>> memory, cpu = Memory(), torch.device("cpu")
    >>> [memory.recall((n,), lambda n=n: print("made", n), cpu) for n in (1, 1, 2)]
    made 1
    made 2
    [None, None, None]
    """

    def __init__(self):
        self.spared, self._key, self._value, self._took = 0.0, None, None, 0.0

    def recall(self, key, make, device):
        """What ``make`` gives, made only where the last key was another.

        Arguments
        ---------
        key : tuple
            All that decides about it; tensors, which must stay as they are, by value.
        make : callable
            Without arguments.
        device : torch.device
            Where it is made.

        Returns
        -------
        object
            The same each time: not to be changed.
        """
        if self._key is not None and all(map(_same, key, self._key)):
            self.spared += self._took
            return self._value
        self._key = self._value = None  # not held beside the next
        start = clock(device)
        self._value = make()
        self._key, self._took = key, clock(device) - start
        return self._value


def _same(one, other):
    if not isinstance(one, torch.Tensor):
        return one == other
    alike = one.device == other.device and one.dtype == other.dtype
    return alike and torch.equal(one, other)
