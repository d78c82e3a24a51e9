"""PANN's CNN14 in LAION's CLAP, with its maps in order of frequency and time."""

import torch.nn.functional as F

CHANNELS = (256, 512, 1024, 2048)
STRIDES = (8, 16, 32, 32)


def listen(network, log_mel, window):
    """What CNN14 (Kong et al., arXiv 1912.10211) hears in log-mel windows.

    Arguments
    ---------
    network : nn.Module
        ``Cnn14`` of laion-clap.
    log_mel : torch.Tensor
        In dB [B, 1, 1001, 64].
    window : Window
        Which part of it is the clip.

    Returns
    -------
    torch.Tensor
        The audio embedding before its projection [B, 2048].
    tuple of torch.Tensor
        Outputs of the last four blocks, [B, 256, 8, 125], [B, 512, 4, 62],
        [B, 1024, 2, 31] and [B, 2048, 2, 31], as far as they belong to the clip.
    """
    x = network.bn0(log_mel.transpose(1, 3)).transpose(1, 3)
    maps = []
    for number in range(1, 7):
        block = getattr(network, f"conv_block{number}")
        x = block(x, pool_size=2 if number < 6 else 1, pool_type="avg")
        if number > 2:  # the network's own order is time, frequency
            own, whole = window.own(x.transpose(2, 3), STRIDES[number - 3])
            maps.append(own)
            x = whole.transpose(2, 3)
    x = x.mean(3)
    x = x.amax(2) + x.mean(2)
    return F.relu(network.fc1(x)), tuple(maps)
