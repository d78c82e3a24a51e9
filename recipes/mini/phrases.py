"""Captions of scenes, made from class names with many phrases and templates."""

import random

import torch
from sentences import PAIRS, TEMPLATES, class_captions


class PhraseBank:
    """Sentence embeddings of every phrase of every class in every template.

    Arguments
    ---------
    names : list of str
        Class names, in the order of their numbers.
    tower : TextTower
        Its sentence embedding is frozen.
    seed : int
        For the draws.
    """

    def __init__(self, names, tower, seed=0):
        captions = class_captions()
        self.names, self.tower, self.draw = names, tower, random.Random(seed)
        self.phrases = [captions[name] for name in names]
        sentences, self.rows = [], []
        for phrases in self.phrases:
            made = [t.format(p) for p in phrases for t in TEMPLATES]
            self.rows.append(range(len(sentences), len(sentences) + len(made)))
            sentences += made
        self.vectors = self.embed(sentences)

    @torch.no_grad()
    def embed(self, sentences):
        """Sentences to the tower's sentence embeddings, [P, 384]."""
        parts = [sentences[i : i + 512] for i in range(0, len(sentences), 512)]
        embed = self.tower.sentence_embedding
        return torch.cat([embed(self.tower.tokenize(p)) for p in parts])

    def classes(self):
        """One sentence a class: the paper's prompt in three of ten draws, [C, 384]."""
        rows = [
            r[0] if self.draw.random() < 0.3 else self.draw.choice(r) for r in self.rows
        ]
        return self.vectors[rows]

    def captions(self, first, second):
        """Sentences for scenes: one class, or two where ``second`` is not -1."""
        out = []
        for a, b in zip(first, second, strict=True):
            phrases = [self.draw.choice(self.phrases[c]) for c in (a, b) if c >= 0]
            if len(phrases) == 2 and self.draw.random() < 0.5:
                phrases.reverse()
            pattern = self.draw.choice(TEMPLATES if len(phrases) == 1 else PAIRS)
            out.append(pattern.format(*phrases))
        return self.embed(out)
