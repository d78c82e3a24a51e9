"""One sound and every explainer: the masks, and all figures of them."""

import inspect
import time
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from speechbrain_lmac import curves, localisation
from speechbrain_lmac.explainers.base import Scene, hear, hear_masked
from speechbrain_lmac.explainers.controls import IdealMask, OtherClip
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.metrics import double_softmax_drop, faithfulness, mask_shape

GAIN = 0.01  # of the gain test: a faint copy of a mask should explain less
_NEEDS = {OtherClip: "other", IdealMask: "sources"}


@dataclass
class Hearing:
    """What the classifier heard in one sound, before any mask.

    Arguments
    ---------
    sound : Sound
        What was played.
    spectrum : torch.Tensor
        Complex STFT [1, F, T].
    scene : Scene
        Of this one sound, in the STFT domain.
    predicted : int
        Number of the likeliest prompt.
    explained : int
        Number of the prompt that is explained.
    parts : dict of str to torch.Tensor
        For each domain what the source and the background are alone [2, F, T]; empty
        where they do not count, since the prompt need not name the source.
    """

    sound: object
    spectrum: torch.Tensor
    scene: Scene
    predicted: int
    explained: int
    parts: dict

    def in_domain(self, domain):
        """The scene in another domain; the encoding is the same."""
        energies = self.scene.energies if domain == "stft" else self.scene.mel
        return replace(self.scene, energies=energies, domain=domain, known={})


class Timed(NamedTuple):
    """A mask [1, 1, F, T] and the seconds that it took."""

    mask: torch.Tensor
    seconds: float


class Measurement:
    """Asks explainers about sounds, and measures their masks.

    Arguments
    ---------
    interpreter : LMACZSInterpreter
        Classifier, decoder, law and floor of the masking.
    makers : dict of str to callable
        Classes of explainers by their names in the results. Of ``classifier``, ``law``
        and ``floor_db`` of the masking, and ``pairs_per_pass`` each is given what it
        asks for. ``lmac_zs`` is the interpreter's.
    text : torch.Tensor
        Unit vectors of the prompts of all classes [C, D].
    domains : sequence of str
        Where masks act.
    fractions : sequence of float
        Shares of the bins at which deletion and insertion are measured, between 0 and
        1; none for no curves.
    pairs_per_pass : int
        Spectrograms that go through the encoder at once; changes memory alone.
    """

    def __init__(
        self, interpreter, makers, text, domains, fractions=(), pairs_per_pass=64
    ):
        self.classifier = interpreter.mods.classifier
        self.lmac_zs, self.text = interpreter.explainer, text
        self.pairs_per_pass = pairs_per_pass
        self.fractions = list(fractions)
        law = interpreter.hparams.masking_law
        floor_db = interpreter.hparams.mask_floor_db
        self.maskings = {
            domain: Masking.for_classifier(self.classifier, domain, law, floor_db)
            for domain in domains
        }
        parts = {
            "classifier": self.classifier,
            "law": law,
            "floor_db": floor_db,
            "pairs_per_pass": pairs_per_pass,
        }
        self.explainers = {}
        for name, maker in makers.items():
            asked = inspect.signature(maker).parameters
            self.explainers[name] = maker(
                **{key: value for key, value in parts.items() if key in asked}
            )

    @torch.no_grad()
    def hear(self, sound, label=None):
        """Plays a sound to the classifier.

        Arguments
        ---------
        sound : Sound
            Waveform [N].
        label : int
            The prompt to explain, which names the sound's source; None for the
            predicted one.

        Returns
        -------
        Hearing
        """
        stft, device = self.classifier.stft, self.classifier.device
        spectrum = stft(sound.waveform.to(device)[None])
        scene = hear(self.classifier, spectrum.abs())
        predicted = int((scene.encoding.embedding @ self.text.T).argmax())
        if label is None:
            return Hearing(sound, spectrum, scene, predicted, predicted, {})
        alone = stft(torch.stack([sound.source, sound.background]).to(device)).abs()
        parts = {"stft": alone, "mel": self.classifier.to_mel(alone)}
        return Hearing(sound, spectrum, scene, predicted, label, parts)

    def reference(self, hearing, domain):
        """LMAC-ZS's mask of a :class:`Hearing`, which controls are made from."""
        return self._timed(self.lmac_zs, hearing, hearing.in_domain(domain))

    def rows(self, hearing, domain, reference, other=None):
        """Figures of all explainers.

        Arguments
        ---------
        hearing : Hearing
            Of the sound.
        domain : str
            ``stft`` or ``mel``.
        reference : Timed
            From :meth:`reference`.
        other : torch.Tensor
            LMAC-ZS's mask of another clip [1, 1, F, T]; without it, its control is
            left out.

        Returns
        -------
        list of dict
            One for each explainer: plain values by name of the column.
        """
        scene = hearing.in_domain(domain)
        scene.known = {"reference": reference.mask}
        if other is not None:
            scene.known["other"] = other
        if hearing.parts:
            scene.known["sources"] = hearing.parts[domain][:1, None]
        timed = {}
        for name, explain in self.explainers.items():
            if explain is self.lmac_zs:
                timed[name] = reference
            elif _NEEDS.get(type(explain), "reference") in scene.known:
                timed[name] = self._timed(explain, hearing, scene)
        if not timed:
            return []
        masks = torch.cat([t.mask[0] for t in timed.values()])
        columns = self._figures(hearing, domain, masks)
        if self.fractions:
            columns |= self._curves(hearing, domain, masks)
        columns["seconds"] = [t.seconds for t in timed.values()]
        return [
            {"method": name, "domain": domain}
            | {column: _plain(values[i]) for column, values in columns.items()}
            for i, name in enumerate(timed)
        ]

    def _timed(self, explain, hearing, scene):
        start = time.perf_counter()
        mask = explain(scene, self.text[hearing.explained].reshape(1, 1, -1)).detach()
        if mask.is_cuda:
            torch.cuda.synchronize(mask.device)
        return Timed(mask, time.perf_counter() - start)

    @torch.no_grad()
    def _figures(self, hearing, domain, masks):
        """Columns of values, one for each mask [M, F, T]."""
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
        out |= _named("raw", faithfulness(*raw, c), ("AI", "AD", "AG", "FF"))
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


def _plain(value):
    """A number, or a list, of seven digits, which is what float32 has."""
    if isinstance(value, torch.Tensor) and value.dim():
        return [_plain(entry) for entry in value]
    return float(f"{float(value):.7g}")
