"""The terms of the training loss, one function each.

Every term is a mean over clips, prompts and bins, so that a weight means the same at
any batch size and on any grid. Shapes: B clips, K prompts a clip, Q sentences to
compare with.
"""

import math

import torch
import torch.nn.functional as F

from speechbrain_lmac import parallel


def similarity_matching(masked, target, weight=None):
    """Eq. 6, first term: similarities after masking stay what they should be.

    Arguments
    ---------
    masked : torch.Tensor
        Similarities after masking, any shape.
    target : torch.Tensor
        Similarities to be kept, same shape. In the paper those of the clip itself.
    weight : torch.Tensor
        Of each entry, same shape; None counts all alike.

    Returns
    -------
    torch.Tensor
        Mean of ``|target - masked|``.

    Example
    -------
    >>> similarity_matching(torch.tensor([0.25, 0.5]), torch.tensor([0.5, 0.5])).item()
    0.125
    """
    return weighted_mean((target - masked).abs(), weight)


def mask_mean(mask, weight=None):
    """Eq. 6, second term: the L1 norm of masks, as a mean over bins.

    Arguments
    ---------
    mask : torch.Tensor
        [B, K, F, T] in [0, 1].
    weight : torch.Tensor
        Of each pair [B, K]; None counts all alike.

    Returns
    -------
    torch.Tensor
        Mean of the masks.

    Example
    -------
    >>> mask_mean(torch.full((2, 3, 4, 5), 0.5)).item()
    0.5
    """
    return weighted_mean(mask.mean((-2, -1)), weight)


def mask_order(mask, rivals, floor=0.003):
    """What is in the clip lights up more than what is not.

    Ours: the mean over pairs of ``max(0, log(2 (r + floor) / (m + floor)))``, where m
    and r are the means of masks: 0 from twice as much on.

    Arguments
    ---------
    mask : torch.Tensor
        Of a prompt that names something in the clip [B, F, T].
    rivals : torch.Tensor
        Of prompts that do not [B, K, F, T].
    floor : float
        Means well below it are alike.

    Returns
    -------
    torch.Tensor
        0 where K is 0.

    Example
    -------
    >>> masks = torch.tensor([0.8, 0.4, 0.1]).reshape(1, 3, 1, 1)
    >>> mask_order(masks[:, 0], masks[:, 1:], floor=0.0).item()
    0.0
    """
    mean, rivals = mask.float().mean((-2, -1)), rivals.float().mean((-2, -1))
    ratio = (rivals + floor).log() - (mean + floor).log().unsqueeze(1)
    return weighted_mean((ratio + math.log(2)).clamp(min=0))


def prompt_diversity(masks, energies, text):
    """Eq. 7's purpose: masks of one clip differ as much as their prompts do.

    The paper's formula is not public; this is ours: the mean over clips and pairs of
    different prompts of ``| |u_j - u_k| - |t_j - t_k| |``, with u the masked
    spectrogram ``M X`` of length 1 whatever the masking law. An empty mask has no
    direction and counts as one at a right angle to all, so that closing masks is a way
    to differ. (Of cosines in place of distances the gradient fades as masks become
    alike, so that alike they stay; of distances it is 0 below 0.001 alone.)

    Arguments
    ---------
    masks : torch.Tensor
        [B, K, F, T].
    energies : torch.Tensor
        Spectrograms X [B, F, T].
    text : torch.Tensor
        Unit vectors of the prompts [B, K, D].

    Returns
    -------
    torch.Tensor
        0 where there is a single prompt.

    Example
    -------
    >>> masks = torch.eye(2).reshape(1, 2, 2, 1)
    >>> text = torch.eye(2).unsqueeze(0)
    >>> prompt_diversity(masks, torch.ones(1, 2, 1), text).item()
    0.0
    """
    pairs = masks.shape[1]
    if pairs < 2:
        return masks.new_zeros(())
    # in bfloat16 all cosines above 0.99 are alike
    with torch.autocast(masks.device.type, enabled=False):
        kept = F.normalize((masks * energies.unsqueeze(1)).float().flatten(2), dim=-1)
        error = (_distances(kept) - _distances(text.float())).abs()
    different = ~torch.eye(pairs, dtype=torch.bool, device=masks.device)
    return weighted_mean(error[:, different])


def _distances(unit):
    """Between unit vectors [B, K, D], [B, K, K]; below 0.001 as if it were that."""
    cosine = torch.einsum("bjd,bkd->bjk", unit, unit)
    return (2 - 2 * cosine).clamp(min=1e-6).sqrt()


def loudness_matching(kept, source, energies):
    """What is kept of a mixture has the magnitudes of the prompted source alone.

    Ours: the mean over pairs of ``sum |kept - source| / sum energies``.

    Arguments
    ---------
    kept : torch.Tensor
        Masked magnitudes [N, F, T].
    source : torch.Tensor
        The source alone [N, F, T].
    energies : torch.Tensor
        The mixture [N, F, T].

    Returns
    -------
    torch.Tensor
        0 where N is 0.

    Example
    -------
    >>> one = torch.ones(1, 2, 2)
    >>> loudness_matching(0.5 * one, one, 2 * one).item()
    0.25
    """
    error = (kept - source).abs().sum((-2, -1))
    return weighted_mean(error / energies.sum((-2, -1)).clamp(min=1e-6))


def confidence_drop(masked, target, temperature, prompt, odds=1.0):
    """The prompt is no less likely among the sentences than it should be.

    Ours: the mean of ``max(0, log p_target - log p_masked)`` at the prompt, where
    ``p_target / (1 - p_target)`` is ``odds`` times what it is in ``target``.

    Arguments
    ---------
    masked : torch.Tensor
        Similarities after masking to all sentences [N, Q].
    target : torch.Tensor
        Similarities to be kept [N, Q].
    temperature : float
        The classifier's logit scale.
    prompt : torch.Tensor
        Number of the prompt among the sentences [N].
    odds : float or torch.Tensor
        What the odds of the prompt should be multiplied by [N].

    Returns
    -------
    torch.Tensor
        0 where N is 0.
    """
    rows = torch.arange(len(prompt), device=prompt.device)
    now = F.log_softmax(temperature * masked, -1)[rows, prompt]
    then = F.log_softmax(temperature * target, -1)[rows, prompt]
    likely = then.exp()
    then = then - (likely + (1 - likely) / odds).log()
    return weighted_mean((then - now).clamp(min=0))


def weighted_mean(values, weight=None):
    """Mean of values; 0 where there are none, or where all weights are 0.

    Every term ends here, since distributed training averages the processes' gradients:
    their mean is that of one process with all of the values if each process divides by
    the processes' mean weight, and not by its own. So all of them must call this, and
    equally often, also for no values at all.

    Arguments
    ---------
    values : torch.Tensor
        Any shape.
    weight : torch.Tensor
        Same shape, non-negative; None counts all alike.

    Returns
    -------
    torch.Tensor
        A scalar.

    Example
    -------
    >>> weighted_mean(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 1.0])).item()
    2.0
    """
    weight = torch.ones_like(values) if weight is None else weight
    return (values * weight).sum() / parallel.mean(weight.sum()).clamp(min=1e-6)
