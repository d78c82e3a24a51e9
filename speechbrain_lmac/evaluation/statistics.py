"""How sure a mean over clips is, and whether two methods differ."""

import numpy as np


def confidence_interval(values, samples=2000, seed=0, level=0.95):
    """Percentile bootstrap of a mean over clips (Efron, 1979).

    Arguments
    ---------
    values : numpy.ndarray
        One for each clip [n].
    samples : int
        Resamples of the clips.
    seed : int
        The same clips are drawn for every column of that length.
    level : float
        Coverage.

    Returns
    -------
    tuple of float, or None
        Lower and upper end; None for fewer than two clips.

    Example
    -------
    >>> low, high = confidence_interval(np.array([0.0, 1.0] * 50))
    >>> low < 0.5 < high, confidence_interval(np.array([3.0]))
    (True, None)
    """
    if len(values) < 2:
        return None
    from scipy.stats import bootstrap

    interval = bootstrap(
        (np.asarray(values, dtype=float),),
        np.mean,
        n_resamples=samples,
        batch=500,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def paired_test(ours, theirs, samples=2000, seed=0):
    """Permutation test of the mean difference over the same clips, two-sided.

    Which of the two a clip's values belong to is exchanged at random; exact where there
    are fewer than ``samples`` ways to.

    Arguments
    ---------
    ours : numpy.ndarray
        One value for each clip [n].
    theirs : numpy.ndarray
        Of the same clips [n].
    samples : int
        Permutations.
    seed : int
        Of the permutations.

    Returns
    -------
    float
        The p-value; 1 for one clip.

    Example
    -------
    >>> paired_test(np.arange(5.0) + 1, np.arange(5.0))
    0.0625
    """
    from scipy.stats import permutation_test

    if len(ours) < 2:  # which scipy refuses
        return 1.0
    return float(
        permutation_test(
            (np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)),
            lambda a, b, axis: np.mean(a - b, axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=samples,
            rng=np.random.default_rng(seed),
        ).pvalue
    )
