"""What training clips are heard with: each other, and white noise."""

import torch

from speechbrain_lmac import audio


def at_levels(first, second, level_db):
    """Two sounds whose levels are a given distance apart.

    Arguments
    ---------
    first : torch.Tensor
        Samples [B, N]; brought to an RMS of 0.1 (-20 dB re full scale).
    second : torch.Tensor
        Samples [B, N].
    level_db : torch.Tensor
        How far the second lies above the first, in dB [B, 1].

    Returns
    -------
    tuple of torch.Tensor
        Both [B, N]; what is silent stays so.

    Example
    -------
    >>> one, two = at_levels(torch.ones(1, 4), torch.ones(1, 4), torch.tensor([[20.0]]))
    >>> one[0, 0].item(), two[0, 0].item()
    (0.10000000149011612, 1.0)
    """
    one, other = (
        0.1 * x / x.square().mean(1, keepdim=True).sqrt().clamp(min=1e-4)
        for x in (first, second)
    )
    return one, 10 ** (level_db / 20) * other


def white_noise(waveforms, share, most_db):
    """White noise for some of the clips, at a drawn distance below each.

    Arguments
    ---------
    waveforms : torch.Tensor
        Clips [B, N].
    share : float
        Of the clips that have noise.
    most_db : float
        It lies between 0 and this below the clip, in dB.

    Returns
    -------
    torch.Tensor
        [B, N]; zeros for the other clips, and for silent ones.

    Example
    -------
    >>> white_noise(torch.ones(2, 3), share=0.0, most_db=15.0).abs().max()
    tensor(0.)
    """
    # drawn on the CPU, so that every device hears the same
    below = (torch.rand(len(waveforms), 1) * most_db).to(waveforms.device)
    chosen = (torch.rand(len(waveforms), 1) < share).to(waveforms.device)
    noise = torch.randn(waveforms.shape).to(waveforms.device)
    return chosen * audio.scaled_below(noise, waveforms, below)
