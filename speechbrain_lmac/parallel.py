"""What the processes of a distributed training tell each other.

One step of N processes with B clips each is one step of a single process with the
N * B clips. For that, each process knows the whole batch, draws the same for it, and
answers for its own clips; and means are taken over all processes. With a single process
nothing here does anything.
"""

import torch
from torch import distributed


def processes():
    """Number of processes that train together.

    Returns
    -------
    int
        1 where training is not distributed.

    Example
    -------
    >>> processes()
    1
    """
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


def mean(value):
    """Mean of a tensor over the processes, without gradient.

    Arguments
    ---------
    value : torch.Tensor
        Of one shape in all processes.

    Returns
    -------
    torch.Tensor
        The same in all processes.
    """
    value = value.detach()
    if processes() == 1:
        return value
    value = value.clone()
    distributed.all_reduce(value)
    return value / processes()


def whole_batch(waveforms, captions):
    """The clips of all processes, in the order in which the sampler dealt them out.

    Arguments
    ---------
    waveforms : torch.Tensor
        Of this process [B, N]; B and N are the same in all of them.
    captions : sequence of str
        Of this process [B].

    Returns
    -------
    waveforms : torch.Tensor
        [processes * B, N].
    captions : list of str
        [processes * B].
    rows : slice
        Which of them are those of this process.

    Example
    -------
    >>> _, captions, rows = whole_batch(torch.zeros(2, 100), ["rain", "wind"])
    >>> captions[rows]
    ['rain', 'wind']
    """
    count = processes()
    if count == 1:
        return waveforms, list(captions), slice(None)
    everyone = [torch.empty_like(waveforms) for _ in range(count)]
    distributed.all_gather(everyone, waveforms.contiguous())
    said = [None] * count
    distributed.all_gather_object(said, list(captions))
    together = [caption for row in zip(*said, strict=True) for caption in row]
    rows = slice(distributed.get_rank(), None, count)
    return torch.stack(everyone, 1).flatten(0, 1), together, rows
