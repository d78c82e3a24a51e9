"""A classifier of your own, from outside the package.

Explain:  python docs/own_classifier.py
Check:    tests/test_own_classifier.py runs the contract of all classifiers on it.
Train:    in the yaml, with the folder of this file in PYTHONPATH,
              classifier: !new:own_classifier.MyCLAP
                  seed: 0
          in place of the classifier there; train.py and its decoder need no more.
Load:     the exported folder names the class, but a folder never decides what code
          runs, so the classifier is built by you. It must be the one of the training:
              LMACZSInterpreter.from_hparams(FOLDER, classifier=MyCLAP())
          The command line, which has only the folder, cannot load it.
"""

import zlib

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_lmac import LMACZSInterpreter
from speechbrain_lmac.classifiers.base import AudioEncoding, ZeroShotClassifier
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.spectrogram import STFT, mel_matrix


class MyCLAP(ZeroShotClassifier):
    """Four convolutions, and text as the letters that follow each other in it."""

    name, sample_rate, window_seconds = "my clap", 16000, 5.0
    prompt_template, temperature = "this is the sound of {}", 20.0
    map_channels, map_strides, embedding_dim = (8, 16, 32, 64), (2, 4, 8, 16), 64

    def __init__(self, seed=0):
        super().__init__()
        self.arguments = {"seed": seed}  # plain values: an export writes them down
        self.stft = STFT(self.sample_rate, n_fft=1024, hop_length=320)
        filters = mel_matrix(self.sample_rate, 1024, 64, 50.0, self.sample_rate / 2)
        self.register_buffer("mel_filters", filters, persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # load your weights here instead
            steps = zip((1, *self.map_channels), self.map_channels, strict=False)
            self.stages = nn.ModuleList(nn.Conv2d(i, o, 3, 2, 1) for i, o in steps)
            self.project = nn.Linear(64, 64)
            self.letters = nn.EmbeddingBag(4096, 64)
        self.freeze()

    @torch.no_grad()
    def embed_text(self, prompts):
        texts = [f"  {prompt} ".encode() for prompt in prompts]
        triples = [[t[i : i + 3] for i in range(len(t) - 2)] for t in texts]
        ids = [torch.tensor([zlib.crc32(x) % 4096 for x in row]) for row in triples]
        vectors = [self.letters(row[None].to(self.device)) for row in ids]
        return F.normalize(torch.cat(vectors), dim=-1)

    def to_mel(self, magnitude):
        return torch.einsum("bft,fm->bmt", magnitude.square(), self.mel_filters)

    def encode(self, energies, domain="stft"):
        mel = self.to_mel(energies) if domain == "stft" else energies
        x, maps = torch.log10(mel + 5e-5).unsqueeze(1), []
        for stage in self.stages:
            x = F.gelu(stage(x))  # [B, C, F / 2, T / 2], rounded up
            maps.append(x)
        embedding = F.normalize(self.project(x.mean((2, 3))), dim=-1)
        return AudioEncoding(embedding, tuple(maps))

    def audio_blocks(self):  # only for cascading randomisation
        stages = [(f"stage {i}", s) for i, s in enumerate(self.stages, start=1)]
        return [("projection", self.project), *reversed(stages)]


if __name__ == "__main__":
    classifier = MyCLAP()
    modules = {"classifier": classifier, "decoder": MaskDecoder(classifier)}
    mask = {"masking_law": "log", "mask_floor_db": -68}
    interpreter = LMACZSInterpreter(modules, mask)
    clip = 0.1 * torch.randn(1, 16000)  # the decoder has learned nothing yet
    print(interpreter.interpret_batch(clip, ["a dog barking"])[0].similarity)
