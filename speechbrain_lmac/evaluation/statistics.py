"""How sure a figure over clips is, and whether two methods differ."""

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
    return _percentiles(np.asarray(values, dtype=float), np.mean, samples, seed, level)


def figure_interval(figure, rows, samples=2000, seed=0, level=0.95):
    """Percentile bootstrap of any figure over clips, each with all of its rows.

    Arguments
    ---------
    figure : callable
        From rows to a number.
    rows : pandas.DataFrame
        With a column ``clip``.
    samples : int
        Resamples of the clips.
    seed : int
        As for :func:`confidence_interval`, of whose mean it gives the interval.
    level : float
        Coverage.

    Returns
    -------
    tuple of float, or None
        Lower and upper end; None for fewer than two clips.

    Example
    -------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"clip": list("aabb"), "x": [0.0, 2.0, 1.0, 3.0]})
    >>> figure_interval(lambda some: some["x"].mean(), rows)
    (1.0, 2.0)
    """
    places = list(rows.groupby("clip", sort=False).indices.values())

    def of_clips(drawn):
        """The figure of some clips, of which some are there several times."""
        return figure(rows.iloc[np.concatenate([places[i] for i in drawn])])

    return _percentiles(np.arange(len(places)), of_clips, samples, seed, level)


def _percentiles(values, statistic, samples, seed, level):
    """Ends of the interval of a statistic of values [n]; None where n is below 2."""
    if len(values) < 2:
        return None
    from scipy.stats import bootstrap

    interval = bootstrap(
        (values,),
        statistic,
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
