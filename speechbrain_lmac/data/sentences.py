"""The sentences that a training step compares its clips with."""

import random

import torch

from speechbrain_lmac.data.manifests import captions
from speechbrain_lmac.errors import ConfigError


class SentenceBank:
    """Draws one caption of each clip's cell and embeds it, once per sentence.

    Captions of one cell say the same thing and never count as foreign to each other.

    Arguments
    ---------
    cells : sequence of str
        Distinct caption cells of the training set.
    classifier : ZeroShotClassifier
        Embeds the sentences.
    templates : sequence of str
        Patterns with one ``{}``; one is drawn for each bank.
    size : int
        Sentences of a bank: those of the batch, and others drawn at random.
    """

    def __init__(self, cells, classifier, templates=("{}",), size=64):
        if len(cells) < 2 or size < 2:
            raise ConfigError(
                f"{len(cells)} different captions in banks of {size}: a prompt is told "
                "from others, so give at least two"
            )
        listed = isinstance(templates, list | tuple) and templates
        if not listed or any(str(t).count("{}") != 1 for t in templates):
            raise ConfigError(
                f"templates are {templates}: give a list of sentences, each with one "
                "{}"
            )
        self.captions = {cell: captions(cell) for cell in cells}
        self.classifier, self.templates, self.size = classifier, templates, size
        self.known = {}

    def draw(self, batch_cells):
        """Sentences to compare with, and which of them are the batch's own.

        Arguments
        ---------
        batch_cells : sequence of str
            The caption cell of each clip [B]; it may be new to the bank.

        Returns
        -------
        bank : torch.Tensor
            Unit vectors [Q, D]; Q is ``size``, or less where there are fewer cells.
        prompt : torch.Tensor
            Number in the bank of each clip's caption [B].
        """
        own = dict.fromkeys(batch_cells)
        cells, others = list(own), [cell for cell in self.captions if cell not in own]
        cells += self._some(others, max(0, self.size - len(cells)))
        template = self._some(self.templates, 1)[0]
        sentences = [
            template.replace("{}", self._some(captions(cell), 1)[0]) for cell in cells
        ]
        number = {cell: i for i, cell in enumerate(cells)}
        bank = self.embed(sentences)
        return bank, torch.tensor([number[c] for c in batch_cells], device=bank.device)

    def first(self, limit):
        """The first caption of each of ``limit`` cells in the first template.

        Arguments
        ---------
        limit : int
            Cells at most.

        Returns
        -------
        torch.Tensor
            Unit vectors [Q, D].
        """
        names = [captions[0] for captions in self.captions.values()][:limit]
        return self.embed([self.templates[0].replace("{}", name) for name in names])

    def embed(self, sentences):
        """Unit vectors [P, D] of sentences; each sentence is embedded once in a run.

        Arguments
        ---------
        sentences : sequence of str
            Sentences.

        Returns
        -------
        torch.Tensor
            [P, D].
        """
        for sentence in sentences:
            if sentence not in self.known:
                # one by one: the last digits depend on what it is embedded with, and
                # that on where a training was stopped. So it is without padding too:
                # of RoBERTa-base in batches of 2, 4 or 16 captions of equal length no
                # row was bitwise the same (up to 1e-7 off). What it costs, once for a
                # caption: 0.04 to 0.07 s of a CPU (0.01 to 0.04 s in batches of 16),
                # beside 0.6 s for each of a step's pairs
                self.known[sentence] = self.classifier.embed_text([sentence])[0]
        return torch.stack([self.known[s] for s in sentences])

    @staticmethod
    def _some(items, count):
        """``count`` distinct items by torch's generator, which the seed governs."""
        seed = int(torch.randint(2**31, ()))
        return random.Random(seed).sample(list(items), min(count, len(items)))
