"""One sound and every explainer: the masks, and all figures of them."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from speechbrain_lmac.evaluation import settings
from speechbrain_lmac.evaluation.columns import Columns
from speechbrain_lmac.explainers.base import Scene, hear
from speechbrain_lmac.explainers.controls import IdealMask, OtherClip
from speechbrain_lmac.explainers.memory import clock
from speechbrain_lmac.masking import Masking

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
        asks for and the yaml has not set. ``lmac_zs`` is the interpreter's.
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
        law = interpreter.hparams.masking_law
        floor_db = interpreter.hparams.mask_floor_db
        maskings = {
            domain: Masking.for_classifier(self.classifier, domain, law, floor_db)
            for domain in domains
        }
        self.columns = Columns(
            self.classifier, text, maskings, fractions, pairs_per_pass
        )
        parts = {
            "classifier": self.classifier,
            "law": law,
            "floor_db": floor_db,
            "pairs_per_pass": pairs_per_pass,
        }
        self.explainers = {
            name: maker(**settings.wanted(maker, parts))
            for name, maker in makers.items()
        }

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

    def references(self, hearing):
        """LMAC-ZS's masks of a :class:`Hearing`, which controls are made from.

        Arguments
        ---------
        hearing : Hearing
            Of the sound.

        Returns
        -------
        dict of str to Timed
            By domain.
        """
        return {
            domain: self._timed(self.lmac_zs, hearing, hearing.in_domain(domain))
            for domain in self.columns.maskings
        }

    def rows(self, hearing, domain, reference, other=None, known=()):
        """Figures of all explainers but those whose figures are known.

        Arguments
        ---------
        hearing : Hearing
            Of the sound.
        domain : str
            ``stft`` or ``mel``.
        reference : Timed
            That of the domain, from :meth:`references`.
        other : torch.Tensor
            LMAC-ZS's mask of another clip [1, 1, F, T]; without it, its control is
            left out.
        known : collection of str
            Names of explainers that are left out.

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
            if name in known:
                continue
            if explain is self.lmac_zs:
                timed[name] = reference
            elif _NEEDS.get(type(explain), "reference") in scene.known:
                timed[name] = self._timed(explain, hearing, scene)
        if not timed:
            return []
        masks = torch.cat([t.mask[0] for t in timed.values()])
        columns = self.columns(hearing, domain, masks)
        columns["seconds"] = [t.seconds for t in timed.values()]
        return [
            {"method": name, "domain": domain}
            | {column: _plain(values[i]) for column, values in columns.items()}
            for i, name in enumerate(timed)
        ]

    def _timed(self, explain, hearing, scene):
        device, memory = self.classifier.device, scene.memory
        start, spared = clock(device), memory.spared
        mask = explain(scene, self.text[hearing.explained].reshape(1, 1, -1)).detach()
        # what another method had computed before counts for both
        return Timed(mask, clock(device) - start + memory.spared - spared)


def _plain(value):
    """A number, or a list, of seven digits, which is what float32 has."""
    if isinstance(value, torch.Tensor) and value.dim():
        return [_plain(entry) for entry in value]
    return float(f"{float(value):.7g}")
