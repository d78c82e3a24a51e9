"""What a zero-shot audio classifier must say to be explained."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn as nn

from speechbrain_lmac.errors import ConfigError


@dataclass
class AudioEncoding:
    """What a classifier heard in a batch of clips.

    Arguments
    ---------
    embedding : torch.Tensor
        Unit vectors [B, D] in the space shared with text.
    maps : tuple of torch.Tensor
        Outputs of the last four stages, finest first, each [B, C, F', T'] in order of
        frequency and time. The embedding is computed from them, so that its gradient
        with respect to each of them exists (Grad-CAM needs it).
    """

    embedding: torch.Tensor
    maps: tuple

    def __getitem__(self, rows):
        return AudioEncoding(self.embedding[rows], tuple(m[rows] for m in self.maps))


class ZeroShotClassifier(nn.Module, ABC):
    """A frozen audio-text model: compares a sound with sentences.

    A backend sets the attributes below, implements the three abstract methods, and ends
    its constructor with :meth:`freeze`. Gradients reach the input of :meth:`encode`,
    never a parameter.

    Attributes: ``name`` identifies the weights, ``sample_rate`` in Hz, ``stft`` the
    :class:`~speechbrain_lmac.spectrogram.STFT`, ``window_seconds`` the length the model
    was trained on (None for any), ``repeats_short_clips`` whether :meth:`encode` fills
    a shorter clip up to it itself (others are given silence after the clip),
    ``prompt_template`` with one ``{}``, ``temperature`` the logit scale of zero-shot
    classification, ``map_channels`` the channels of the four maps, ``map_strides``
    their strides on the mel grid, ``embedding_dim``, ``mel_filters`` [F, M], and
    ``arguments``, the plain values that its constructor was given, by which an
    exported interpreter builds it again.
    """

    name: str
    sample_rate: int
    stft: nn.Module
    window_seconds: float | None
    repeats_short_clips = False
    prompt_template: str
    temperature: float
    map_channels: tuple
    embedding_dim: int
    mel_filters: torch.Tensor
    arguments: dict

    @abstractmethod
    def embed_text(self, prompts):
        """Sentences, as they are, to unit vectors [P, D]."""

    @abstractmethod
    def to_mel(self, magnitude):
        """STFT magnitudes [B, F, T] to mel energies [B, M, T]."""

    @abstractmethod
    def encode(self, energies, domain="stft"):
        """Hear a spectrogram.

        Arguments
        ---------
        energies : torch.Tensor
            STFT magnitudes [B, F, T] (``stft``) or mel energies [B, M, T] (``mel``).
        domain : str
            Which of the two.

        Returns
        -------
        AudioEncoding
        """

    def audio_blocks(self):
        """The audio encoder's blocks, for cascading randomisation.

        Returns
        -------
        list of (str, nn.Module)
            Names and modules from the top, the projection, down to the input; no
            weight of the audio encoder is outside them. ConfigError where a backend
            does not say.
        """
        raise ConfigError(
            f"classifier '{self.name}' does not name the blocks of its audio encoder; "
            "give it audio_blocks()"
        )

    def freeze(self):
        """Evaluation mode for good, and no parameter that takes a gradient."""
        self.requires_grad_(False)
        return super().train(False)

    def train(self, mode=True):
        """Stays in evaluation mode: dropout and norms of a frozen model do not move."""
        return super().train(False)

    @property
    def device(self):
        """Where the classifier is."""
        return self.mel_filters.device

    def prompts(self, class_names):
        """Class names in the model's prompt template."""
        return [self.prompt_template.format(name) for name in class_names]

    def probabilities(self, embedding, text):
        """Zero-shot probabilities ``softmax(temperature * a @ t)``, [B, P].

        Arguments
        ---------
        embedding : torch.Tensor
            Unit vectors of clips [B, D].
        text : torch.Tensor
            Unit vectors of prompts [P, D].

        Returns
        -------
        torch.Tensor
            Rows that sum to one.
        """
        return torch.softmax(self.temperature * embedding @ text.T, dim=-1)
