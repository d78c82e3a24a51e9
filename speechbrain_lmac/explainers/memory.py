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
    """The last of each kind that was computed of a scene, for others who need the same.

    ``spared`` are the seconds that it would have taken again, so that a method can be
    timed as if it were alone.

    Example
    -------
    >>> memory, cpu = Memory(), torch.device("cpu")
    >>> def double(n):
    ...     print("made of", n)
    ...     return 2 * n
    >>> [memory.recall("twice", (n,), lambda n=n: double(n), cpu) for n in (1, 1, 2)]
    made of 1
    made of 2
    [2, 2, 4]
    """

    def __init__(self):
        self.spared, self._kept = 0.0, {}

    def recall(self, kind, key, make, device):
        """What ``make`` gives, made only where the last key of its kind was another.

        Arguments
        ---------
        kind : str
            What it is.
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
        known = self.part(kind, key)
        if known is not None:
            return known
        self._kept.pop(kind, None)  # not held beside the next
        start = clock(device)
        value = make()
        self._kept[kind] = key, value, clock(device) - start
        return value

    def part(self, kind, key, share=1.0):
        """What is known already, for one who needs a share of it.

        Arguments
        ---------
        kind : str
            As in :meth:`recall`.
        key : tuple
            As in :meth:`recall`.
        share : float
            Of the work that it was, 0 to 1; as much of its seconds is spared.

        Returns
        -------
        object or None
            None where the last of its kind was another; not to be changed.
        """
        last, value, took = self._kept.get(kind, (None, None, 0.0))
        if last is None or not all(map(_same, key, last)):
            return None
        self.spared += share * took
        return value


def _same(one, other):
    if not isinstance(one, torch.Tensor):
        return one == other
    alike = one.device == other.device and one.dtype == other.dtype
    return alike and torch.equal(one, other)
