"""The rows of one clip: in all conditions and domains, by all explainers."""

from speechbrain_lmac.errors import AudioInputError
from speechbrain_lmac.evaluation.conditions import generator

# clips at a time: this one, that whose mask its control takes, and the one before
_MEMORY = 3


class Rows:
    """Plays clips in conditions, and has them measured.

    Arguments
    ---------
    clips : Clips
        All that may be heard or mixed with.
    chosen : list of str
        Those that are measured, in their order: a clip's control is the mask of one
        beside it.
    classes : sequence of str
        In natural words, as the prompts.
    conditions : dict
        By name.
    measurement : Measurement
        Explainers and figures.
    seed : int
        Of mixtures.

    Attributes
    ----------
    known : dict
        Rows that are taken over and not measured: for (clip, condition, domain) a dict
        by method.
    """

    def __init__(self, clips, chosen, classes, conditions, measurement, seed):
        self.clips, self.chosen, self.classes = clips, chosen, classes
        self.conditions, self.measurement, self.seed = conditions, measurement, seed
        self.known, self._memory = {}, {}

    def __call__(self, clip):
        """All rows of one clip.

        Arguments
        ---------
        clip : str
            One of the chosen; AudioInputError where it cannot be read.

        Returns
        -------
        list of dict
            Plain values by name of the column.
        """
        rows = []
        for name in self.conditions:
            hearing, references = self._heard(clip, name)
            others = self._other_references(clip, name)
            for domain, reference in references.items():
                about = {
                    "clip": clip,
                    "condition": name,
                    "true": self.clips.label(clip),
                    "predicted": self.classes[hearing.predicted],
                    "explained": self.classes[hearing.explained],
                }
                other = others[domain].mask if others else None
                known = self.known.get((clip, name, domain), {})
                found = self.measurement.rows(hearing, domain, reference, other, known)
                rows += [*known.values(), *(about | row for row in found)]
        return rows

    def _heard(self, clip, condition):
        """A clip in a condition, and its masks of LMAC-ZS by domain; made once."""
        key = clip, condition
        found = self._memory.pop(key, None)
        if found is None:
            made = self.conditions[condition]
            sound = made(clip, self.clips, generator(self.seed, condition, clip))
            label = None
            if made.prompted_by_label:
                label = self.classes.index(self.clips.label(clip))
            hearing = self.measurement.hear(sound, label)
            found = hearing, self.measurement.references(hearing)
        self._memory[key] = found  # the last one that was asked for
        while len(self._memory) > _MEMORY * len(self.conditions):
            del self._memory[next(iter(self._memory))]
        return found

    def _other_references(self, clip, condition):
        """Those for the nearest clip before this one that is of another class.

        The nearest after it where there is none; None where no such clip can be read.
        """
        place = self.chosen.index(clip)
        for other in [*self.chosen[:place][::-1], *self.chosen[place + 1 :]]:
            if self.clips.label(other) != self.clips.label(clip):
                try:
                    return self._heard(other, condition)[1]
                except AudioInputError:
                    continue
        return None
