"""Every figure of masks of one sound: the columns of the results."""

import torch

from speechbrain_lmac import curves, localisation
from speechbrain_lmac.explainers.base import hear_masked
from speechbrain_lmac.metrics import (
    TOLERANCE,
    double_softmax_drop,
    faithfulness,
    mask_shape,
)

GAIN = 0.01  # of the gain test: a faint copy of a mask should explain less


class Columns:
    """Hears what masks keep and remove, and says how well they explain.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    text : torch.Tensor
        Unit vectors of the prompts of all classes [C, D].
    maskings : dict of str to Masking
        By domain.
    fractions : sequence of float
        Shares of the bins at which deletion and insertion are measured, between 0 and
        1; none for no curves.
    pairs_per_pass : int
        Spectrograms that go through the encoder at once; changes memory alone.
    """

    def __init__(self, classifier, text, maskings, fractions=(), pairs_per_pass=64):
        self.classifier, self.text, self.maskings = classifier, text, maskings
        self.fractions, self.pairs_per_pass = list(fractions), pairs_per_pass

    @torch.no_grad()
    def __call__(self, hearing, domain, masks):
        """Figures of masks.

        Arguments
        ---------
        hearing : Hearing
            The sound.
        domain : str
            ``stft`` or ``mel``.
        masks : torch.Tensor
            Of this sound, by several explainers [M, F, T].

        Returns
        -------
        dict of str to sequence
            M values for each column.
        """
        masking, x = self.maskings[domain], hearing.in_domain(domain).energies
        kept = masking.keep(masks, x)
        faint = masking.keep(GAIN * masks, x), masking.remove(GAIN * masks, x)
        spectrograms = [kept, masking.remove(masks, x), *faint]
        if domain == "stft":
            length = len(hearing.sound.waveform)
            played = self.classifier.stft.playback(kept, hearing.spectrum, length)
            spectrograms.append(self.classifier.stft(played).abs())
        after = self._hear_masked(torch.stack(spectrograms), domain)
        before = hearing.scene.encoding.embedding.expand(len(masks), -1)
        c = torch.full((len(masks),), hearing.explained, device=masks.device)

        p, o, q, *others = (self._probabilities(e) for e in (before, *after))
        raw = [(e @ self.text.T).softmax(-1) for e in (before, after[0], after[1])]
        out = {"p": p, "o": o, "q": q}
        out = {name: values[:, hearing.explained] for name, values in out.items()}
        out |= faithfulness(p, o, q, c) | mask_shape(masks)
        out["AD (double softmax)"] = double_softmax_drop(p, o, c)
        out["similarity"] = before @ self.text[hearing.explained]
        # without the temperature probabilities differ by that much less
        tolerance = TOLERANCE / self.classifier.temperature
        raw = faithfulness(*raw, c, tolerance)
        out |= _named("raw", raw, ("AI", "AD", "AG", "FF"))
        out |= _named("gain", faithfulness(p, *others[:2], c))
        if domain == "stft":
            heard = faithfulness(p, others[2], q, c)
            out |= _named("heard", heard, ("AI", "AD", "FidIn"))
        if hearing.parts:
            silent = not hearing.sound.source.any()
            out["silent target"] = [float(silent)] * len(masks)
        if hearing.parts and not silent:
            power = 2 if domain == "stft" else 1
            source, rest = hearing.parts[domain].pow(power)
            ideal = localisation.ideal_ratio_mask(source, rest)
            out["share"] = localisation.source_share(masks, source, rest)
            out["IoU"] = localisation.soft_iou(masks, ideal)
            if domain == "stft":
                wanted, mixed = (x.to(played) for x in hearing.sound[1::-1])
                out["SI-SDRi"] = localisation.si_sdr_improvement(played, wanted, mixed)
        if self.fractions:
            out |= self._curves(hearing, domain, masks)
        return out

    @torch.no_grad()
    def _curves(self, hearing, domain, masks):
        """Deletion and insertion curves of masks [M, F, T], and their areas."""
        x = hearing.in_domain(domain).energies
        fractions = [0.0, *self.fractions, 1.0]
        silence = self._hear_masked(torch.zeros_like(x), domain)
        ends = torch.cat([hearing.scene.encoding.embedding, silence])
        full, empty = self._probabilities(ends)[:, hearing.explained]
        out = {"deletion": [], "insertion": []}
        for mask in masks:
            top = curves.top_bins(mask, self.fractions)
            heard = self._hear_masked(torch.stack([(1 - top) * x, top * x]), domain)
            between = self._probabilities(heard)[..., hearing.explained]
            for name, inner, (first, last) in zip(
                out, between, ((full, empty), (empty, full)), strict=True
            ):
                out[name].append(torch.cat([first[None], inner, last[None]]))
        areas = {k: curves.area(fractions, torch.stack(v)) for k, v in out.items()}
        return areas | {f"{name} curve": points for name, points in out.items()}

    def _hear_masked(self, energies, domain):
        """Masked spectrograms [..., F, T] to unit vectors [..., D]."""
        return hear_masked(self.classifier, energies, domain, self.pairs_per_pass)

    def _probabilities(self, embedding):
        """Unit vectors [..., D] to probabilities of all classes [..., C]."""
        return self.classifier.probabilities(embedding, self.text)


def _named(prefix, values, names=None):
    """Columns under names of their own."""
    return {f"{prefix} {name}": values[name] for name in names or values}
