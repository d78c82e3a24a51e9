"""What every explainer is given and what it gives, and how a mask is heard."""

from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch.utils.checkpoint import checkpoint

from speechbrain_lmac.classifiers.base import AudioEncoding
from speechbrain_lmac.explainers.memory import Memory


@dataclass
class Scene:
    """A batch of clips as the classifier heard them.

    Arguments
    ---------
    energies : torch.Tensor
        STFT magnitudes [B, F, T] or mel energies [B, M, T]: what masks act on.
    mel : torch.Tensor
        Mel energies [B, M, T].
    encoding : AudioEncoding
        Of the unmasked clips.
    domain : str
        ``stft`` or ``mel``: which of the two ``energies`` are.
    known : dict
        What the evaluation knows beyond the classifier's hearing, for controls:
        ``reference``, masks of the explainer that they are to match [B, P, F, T];
        ``other``, its masks of other clips, same shape; ``sources``, what the prompted
        sources are alone, in the same domain, same shape.
    memory : Memory
        Of gradients that several explainers need. Copies in which something else was
        replaced have the same.
    """

    energies: torch.Tensor
    mel: torch.Tensor
    encoding: AudioEncoding
    domain: str = "stft"
    known: dict = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory, repr=False, compare=False)

    def __len__(self):
        return len(self.mel)


def own_prompts(scene, text):
    """Prompts [P, D] of all clips, or [B, P, D] of each, as [B, P, D].

    Arguments
    ---------
    scene : Scene
        B clips.
    text : torch.Tensor
        Unit vectors [P, D] or [B, P, D].

    Returns
    -------
    torch.Tensor
        [B, P, D].
    """
    return text if text.dim() == 3 else text.expand(len(scene), *text.shape)


@torch.no_grad()
def hear(classifier, magnitude, domain="stft"):
    """Encode clips once, without gradient.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen.
    magnitude : torch.Tensor
        STFT magnitudes [B, F, T].
    domain : str
        Where masks will act, ``stft`` or ``mel``.

    Returns
    -------
    Scene
    """
    mel = classifier.to_mel(magnitude)
    encoding = classifier.encode(mel, domain="mel")
    return Scene(magnitude if domain == "stft" else mel, mel, encoding, domain)


def hear_masked(classifier, energies, domain, pairs_per_pass=64):
    """Embeddings of masked spectrograms, a bounded number at a time.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Frozen; gradient reaches the energies.
    energies : torch.Tensor
        Masked magnitudes or mel energies [..., F, T].
    domain : str
        ``stft`` or ``mel``.
    pairs_per_pass : int
        Spectrograms that go through the encoder at once; changes memory, not results.
        Where a gradient is wanted and there is more than one pass, each is computed
        again for it, so that the activations of one pass alone are held at a time.

    Returns
    -------
    torch.Tensor
        Unit vectors [..., D].
    """

    def embed(part):
        """Embeddings of as many spectrograms as one pass takes."""
        return classifier.encode(part, domain).embedding

    parts = energies.flatten(0, -3).split(pairs_per_pass)
    if len(parts) > 1 and torch.is_grad_enabled() and energies.requires_grad:
        # a frozen classifier draws nothing: no random state to restore
        embed = partial(
            checkpoint, embed, use_reentrant=False, preserve_rng_state=False
        )
    return torch.cat([embed(p) for p in parts]).unflatten(0, energies.shape[:-2])


class Explainer(Protocol):
    """Says where in the spectrogram the agreement of clip and prompt comes from."""

    def __call__(self, scene: Scene, text: torch.Tensor) -> torch.Tensor:
        """Clips [B] and prompts to masks [B, P, F, T] in [0, 1].

        ``text`` is [P, D], the same for all clips, or [B, P, D], each clip's own.
        """
