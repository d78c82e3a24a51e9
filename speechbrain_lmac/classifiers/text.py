"""A small text tower: any English sentence to a unit vector, with no download.

A SentencePiece vocabulary and a two-layer transformer, trained to give the sentence
embeddings of a large language model (see recipes/mini/README.md).
"""

import sentencepiece
import torch
import torch.nn as nn
import torch.nn.functional as F


class TextTower(nn.Module):
    """Sentences to unit vectors.

    Arguments
    ---------
    vocabulary : bytes
        A serialised SentencePiece model; piece 0 is the padding.
    width : int
        Channels of the transformer.
    token_width : int
        Size of a token's own vector, expanded to ``width``.
    layers : int
        Number of transformer layers.
    sentence_dim : int
        Size of the sentence embedding that the tower was trained to give.
    embedding_dim : int
        Size of the space shared with the audio tower.
    max_tokens : int
        Tokens of a sentence after this many are dropped.
    """

    def __init__(
        self,
        vocabulary,
        width=256,
        token_width=128,
        layers=2,
        sentence_dim=384,
        embedding_dim=256,
        max_tokens=64,
    ):
        super().__init__()
        self.pieces = sentencepiece.SentencePieceProcessor(model_proto=vocabulary)
        self.max_tokens = max_tokens
        self.tokens = nn.Embedding(self.pieces.get_piece_size(), token_width)
        self.expand = nn.Linear(token_width, width)
        self.positions = nn.Parameter(torch.zeros(max_tokens, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 3 * width, dropout=0.0, activation="gelu", batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.sentence = nn.Linear(width, sentence_dim)
        self.project = nn.Linear(sentence_dim, embedding_dim)

    def tokenize(self, sentences):
        """Sentences to piece numbers.

        Arguments
        ---------
        sentences : sequence of str
            English sentences; case does not matter.

        Returns
        -------
        torch.Tensor
            Piece numbers [P, L], padded with 0.
        """
        ids = self.pieces.encode([s.lower().strip() for s in sentences])
        ids = [torch.tensor(i[: self.max_tokens] or [1]) for i in ids]
        return nn.utils.rnn.pad_sequence(ids, batch_first=True)

    def sentence_embedding(self, ids):
        """Piece numbers to the language model's sentence space.

        Arguments
        ---------
        ids : torch.Tensor
            Piece numbers [P, L].

        Returns
        -------
        torch.Tensor
            Unit vectors [P, sentence_dim].
        """
        padding = ids == 0
        x = self.expand(self.tokens(ids)) + self.positions[: ids.shape[1]]
        x = self.layers(x, src_key_padding_mask=padding)
        weight = (~padding).unsqueeze(-1).to(x.dtype)
        x = (x * weight).sum(1) / weight.sum(1).clamp(min=1)
        return F.normalize(self.sentence(x), dim=-1)

    def forward(self, sentences):
        """Sentences to unit vectors [P, embedding_dim] of the shared space."""
        ids = self.tokenize(sentences).to(self.positions.device)
        return F.normalize(self.project(self.sentence_embedding(ids)), dim=-1)
