"""How far two sets of clips are from each other, as a classifier hears them."""

import torch


def frechet_distance(one, other):
    """Frechet distance of the Gaussians that fit two sets of vectors.

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``, Dowson and Landau, 1982; of audio
    embeddings, K. Kilgour et al., "Frechet audio distance", 2019. Small sets make it
    too large: compare sets of about the same size.

    Arguments
    ---------
    one : torch.Tensor
        [n, D], n > 1.
    other : torch.Tensor
        [m, D], m > 1.

    Returns
    -------
    float
        0 for the same mean and covariance.

    Example
    -------
    >>> one = torch.tensor([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]])
    >>> round(frechet_distance(one, one + 3), 6)
    18.0
    """
    one, other = one.double().cpu(), other.double().cpu()
    gap = (one.mean(0) - other.mean(0)).square().sum()
    c1, c2 = (torch.cov(x.T).reshape(x.shape[1], -1) for x in (one, other))
    # C1 C2 has the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2)
    values, vectors = torch.linalg.eigh(c1)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ c2 @ root).clamp(min=0).sqrt().sum()
    return float((gap + c1.trace() + c2.trace() - 2 * shared).clamp(min=0))
