"""The decoder of LMAC-ZS: what a classifier heard, and a prompt, to a mask.

The maps of the classifier's last four stages meet the text three times: by
cross-attention at the coarsest stage (image tokens query text tokens), by *agreement
channels* at every stage (grouped dot products of map and text, so that each bin says
how much it sounds like the prompt), and by the clip's similarity to the prompt on the
logit. Transposed convolutions lead back to the mel grid, with a skip from every stage;
logits are carried over to linear bins before the sigmoid.
"""

import itertools
import math

import torch
import torch.nn as nn

from speechbrain_lmac.decoder_blocks import Agreement, CrossAttention, UpBlock
from speechbrain_lmac.spectrogram import band_interpolation


class MaskDecoder(nn.Module):
    """Masks for pairs of clip and prompt.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Only its shapes are read: the maps' channels and strides, the size of its
        embedding and its mel filters.
    width : int
        Channels on the way up.
    fine_width : int
        Channels on the mel grid, which is where the cost is.
    groups : int
        Agreement channels a stage. 0 gives the plain cross-attention decoder of the
        paper's text: neither agreement channels nor the similarity on the logit.
    tokens : int
        Text tokens of the cross-attention.
    detail : bool
        Whether the log-mel spectrogram joins at the last step, by a branch whose last
        layer starts at zero.
    domains : sequence of str
        In which masks are to act: each has a last layer of its own. A mask for a domain
        that is not among them comes from the first one's.

    Example
    -------
    >>> from speechbrain_lmac.testing import random_classifier
    >>> classifier = random_classifier()
    >>> decoder = MaskDecoder(classifier)
    >>> magnitude = classifier.stft(torch.randn(2, 16000)).abs()
    >>> mel = classifier.to_mel(magnitude)
    >>> text = classifier.embed_text(["a dog barking", "rain", "wind"])
    >>> decoder(classifier.encode(magnitude), mel, text.expand(2, 3, -1)).shape
    torch.Size([2, 3, 513, 51])
    """

    def __init__(
        self,
        classifier,
        width=48,
        fine_width=16,
        groups=8,
        tokens=8,
        detail=True,
        domains=("stft",),
    ):
        super().__init__()
        self.arguments = {
            "width": width,
            "fine_width": fine_width,
            "groups": groups,
            "tokens": tokens,
            "detail": detail,
            "domains": list(domains),
        }
        channels, dim = classifier.map_channels, classifier.embedding_dim
        self.stages = nn.ModuleList(Agreement(c, dim, width, groups) for c in channels)
        self.attend = CrossAttention(channels[-1], dim, width, tokens)
        self.up = nn.ModuleList(UpBlock(width, width) for _ in channels[1:])
        # from the finest map's stride down to the mel grid itself
        steps = round(math.log2(classifier.map_strides[0]))
        widths = [width] + [fine_width] * steps
        self.to_grid = nn.ModuleList(
            UpBlock(a, b, norm=False) for a, b in itertools.pairwise(widths)
        )
        self.out = nn.Conv2d(fine_width, len(domains), 3, 1, 1)
        self.level = nn.Parameter(torch.tensor([4.0, 0.0])) if groups else None
        self.detail = None
        if detail:
            self.detail = nn.Sequential(
                nn.Conv2d(fine_width + 1, fine_width, 3, 1, 1),
                nn.ReLU(),
                nn.Conv2d(fine_width, fine_width, 3, 1, 1),
            )
            nn.init.zeros_(self.detail[-1].weight)
            nn.init.zeros_(self.detail[-1].bias)
        bands = band_interpolation(classifier.mel_filters.detach().cpu())
        self.register_buffer("bands", bands, persistent=False)
        self.to(memory_format=torch.channels_last)  # a fifth faster on CPU in bf16

    def logits(self, encoding, mel, text, domain="stft"):
        """Mask logits on the mel grid.

        Arguments
        ---------
        encoding : AudioEncoding
            Of B clips.
        mel : torch.Tensor
            Their mel energies [B, M, T].
        text : torch.Tensor
            Unit vectors of K prompts for each clip [B, K, D].
        domain : str
            ``stft`` or ``mel``: where the mask is to act.

        Returns
        -------
        torch.Tensor
            [B, K, M, T].
        """
        similarity = torch.einsum("bd,bkd->bk", encoding.embedding, text)
        skips = [
            stage(x, text, similarity)
            for stage, x in zip(self.stages, encoding.maps, strict=True)
        ]
        x = skips[-1] + self.attend(encoding.maps[-1], text)
        for up, skip in zip(self.up, skips[-2::-1], strict=True):
            x = up(x, skip.shape[-2:], skip)
        for step, up in enumerate(self.to_grid, start=1):
            left = 2 ** (len(self.to_grid) - step)
            x = up(x, [-(-n // left) for n in mel.shape[-2:]])
        if self.detail is not None:
            log_mel = 0.25 * torch.log(mel + 1e-4).unsqueeze(1)
            log_mel = log_mel.repeat_interleave(text.shape[1], 0)
            x = x + self.detail(torch.cat([x, log_mel.to(x.dtype)], 1))
        domains = self.arguments["domains"]
        head = domains.index(domain) if domain in domains else 0
        out = self.out(x)[:, head].unflatten(0, text.shape[:2])
        if self.level is not None:
            out = out + (self.level[0] * similarity + self.level[1])[..., None, None]
        return out

    def forward(self, encoding, mel, text, domain="stft"):
        """Masks in [0, 1].

        Arguments
        ---------
        encoding : AudioEncoding
            Of B clips.
        mel : torch.Tensor
            Their mel energies [B, M, T].
        text : torch.Tensor
            Unit vectors of K prompts for each clip [B, K, D].
        domain : str
            ``stft`` or ``mel``: the grid of the mask.

        Returns
        -------
        torch.Tensor
            [B, K, F, T] or [B, K, M, T].
        """
        out = self.logits(encoding, mel, text, domain).float()
        if domain == "stft":
            out = torch.einsum("bkmt,fm->bkft", out, self.bands)
        return torch.sigmoid(out)
