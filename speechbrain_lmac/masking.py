"""What a mask does to a spectrogram, and what it leaves.

Masks act on non-negative values x (STFT magnitudes, or mel energies). Two laws:

- ``log``: ``keep(M, x) = floor * expm1(M * log1p(x / floor))``. A constant M below one
  compresses the dynamics, so it destroys the sound instead of turning it down.
- ``linear``: ``keep(M, x) = M * x``, for comparison. A classifier with a log front end
  barely notices a constant faint mask, which makes faithfulness figures meaningless.

For both, M = 1 is the identity, M = 0 is silence, and the removed sound is that of the
complement: ``remove(M, x) = keep(1 - M, x)``. With the log law the two relate by
``(1 + keep / floor) * (1 + remove / floor) = 1 + x / floor``, with the linear law by
``keep + remove = x``.
"""

import torch

from speechbrain_lmac.errors import ConfigError

DOMAINS = ("stft", "mel")
LAWS = ("log", "linear")


class Masking:
    """Keep or remove what a mask selects.

    Arguments
    ---------
    full_scale : float
        Value of a full-scale sine in the domain of the mask.
    floor_db : float
        The log law's floor in dB re full scale, -200 to 0.
    law : str
        ``log`` or ``linear``.
    power : float
        2 where the values are energies (mel), 1 where they are magnitudes (STFT).

    Example
    -------
    >>> import torch
    >>> masking = Masking(full_scale=256.0)
    >>> x = torch.rand(1, 513, 20)
    >>> bool((masking.keep(torch.ones(1, 513, 20), x) - x).abs().max() < 1e-5)
    True
    >>> float(masking.keep(torch.zeros(1, 513, 20), x).abs().max())
    0.0
    """

    def __init__(self, full_scale, floor_db=-68.0, law="log", power=1.0):
        if law not in LAWS:
            raise ConfigError(f"masking law '{law}' is unknown: choose one of {LAWS}")
        if not (isinstance(floor_db, int | float) and -200 <= floor_db <= 0):
            raise ConfigError(
                f"mask_floor_db is '{floor_db}': give a number of dB from -200 to 0"
            )
        self.law, self.power = law, power
        self.floor = full_scale * 10 ** (power * floor_db / 20)

    @classmethod
    def for_classifier(cls, classifier, domain="stft", law="log", floor_db=-68.0):
        """The masking of a domain of a classifier.

        Arguments
        ---------
        classifier : ZeroShotClassifier
            Says what full scale is.
        domain : str
            ``stft`` or ``mel``.
        law : str
            ``log`` or ``linear``.
        floor_db : float
            In dB re full scale.

        Returns
        -------
        Masking
        """
        if domain not in DOMAINS:
            raise ConfigError(
                f"masking domain '{domain}' is unknown: choose one of {DOMAINS}"
            )
        full_scale = classifier.stft.full_scale
        if domain == "stft":
            return cls(full_scale, floor_db, law)
        flat = torch.full((1, classifier.stft.bins, 1), full_scale)
        energy = classifier.to_mel(flat.to(classifier.device)).median().item()
        return cls(energy, floor_db, law, power=2.0)

    @classmethod
    def for_domains(cls, classifier, law="log", floor_db=-68.0, domains=DOMAINS):
        """The maskings of some domains of a classifier, by the domain's name.

        Arguments
        ---------
        classifier : ZeroShotClassifier
            Says what full scale is.
        law : str
            ``log`` or ``linear``.
        floor_db : float
            In dB re full scale.
        domains : sequence of str
            ``stft``, ``mel`` or both.

        Returns
        -------
        dict
            At least one; ConfigError where there is none.
        """
        if not domains or isinstance(domains, str):
            raise ConfigError(
                f"masking domains are '{domains}': give a list, as in [stft, mel]"
            )
        return {d: cls.for_classifier(classifier, d, law, floor_db) for d in domains}

    def compress(self, values):
        """Values on the scale on which a mask is a factor, 0 for silence."""
        return values if self.law == "linear" else torch.log1p(values / self.floor)

    def expand(self, levels):
        """The inverse of :meth:`compress`."""
        return levels if self.law == "linear" else self.floor * torch.expm1(levels)

    def magnitude(self, values):
        """Values of either domain as magnitudes; of energies, with the floor added."""
        return values if self.power == 1 else (values + self.floor).sqrt()

    def keep(self, mask, values):
        """The sound that the mask selects: ``expand(mask * compress(values))``.

        Arguments
        ---------
        mask : torch.Tensor
            In [0, 1], of a shape that broadcasts with the values.
        values : torch.Tensor
            Non-negative magnitudes or energies.

        Returns
        -------
        torch.Tensor
            Between 0 and the values.
        """
        return self.expand(mask * self.compress(values))

    def remove(self, mask, values):
        """The sound that the mask leaves: ``keep(1 - mask, values)``."""
        return self.keep(1 - mask, values)
