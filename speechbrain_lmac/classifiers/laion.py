"""LAION's CLAP through the package laion-clap (read in version 1.1.7).

Only its files that define the audio networks are imported, and not through the package:
``import laion_clap`` downloads three tokenizers and adds to the path, and building its
model downloads RoBERTa, which is here built from its configuration.
"""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types
import warnings
from pathlib import Path
from unittest import mock

import torch
import torch.nn as nn

from speechbrain_lmac.classifiers import htsat, pann
from speechbrain_lmac.classifiers.clap import (
    F_MAX,
    F_MIN,
    HOP,
    N_FFT,
    N_MELS,
    SAMPLE_RATE,
    CLAPFrontEnd,
)
from speechbrain_lmac.classifiers.laion_checkpoint import read_checkpoint
from speechbrain_lmac.classifiers.laion_shapes import ARCHITECTURES
from speechbrain_lmac.classifiers.tokenizer import load_tokenizer, located
from speechbrain_lmac.errors import ConfigError

_PACKAGE = f"{__name__}_clap"  # under which parts of laion-clap are imported
# of the audio networks: what zero-shot classification does without, the front end
# because it is rebuilt here, the rest because it names AudioSet's classes
_UNUSED = (
    *("spectrogram_extractor", "logmel_extractor", "spec_augmenter"),
    *("tscam_conv", "head", "fc_audioset"),
)
# the sizes of RoBERTa-base (https://huggingface.co/FacebookAI/roberta-base)
_ROBERTA = {
    "vocab_size": 50265,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
}


class LaionCLAP(CLAPFrontEnd):
    """CLAP as LAION trained it, with HTSAT-tiny, HTSAT-base or PANN-14, and RoBERTa.

    Wu et al., "Large-scale contrastive language-audio pretraining with feature fusion
    and keyword-to-caption augmentation", arXiv 2211.06687; checkpoints without fusion.

    Arguments
    ---------
    amodel : str
        Audio network, by laion-clap's name.
    checkpoint : str | Path, optional
        What :func:`~speechbrain_lmac.classifiers.laion_checkpoint.read_checkpoint`
        takes. None gives random weights, for tests and measurements.
    tokenizer : str | Path
        Folder of RoBERTa's tokenizer, or its name on the hub.
    text_config : dict, optional
        Further settings of transformers' ``RobertaConfig``, for a smaller network with
        random weights.
    seed : int
        Of random weights, and of the part that is heard of a clip over ten seconds.
    sha256 : str, optional
        What the checkpoint's checksum must be; by default the published one, if it has
        the name of a published one. CheckpointError, in one line, for another.
    """

    def __init__(
        self,
        amodel="HTSAT-tiny",
        checkpoint=None,
        tokenizer="roberta-base",
        text_config=None,
        seed=0,
        sha256=None,
    ):
        if amodel not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise ConfigError(f"amodel '{amodel}' is unknown; give {known}")
        # what may be wrong with the files is said before anything is built
        tokenize = load_tokenizer(tokenizer)
        state = read_checkpoint(checkpoint, amodel, sha256) if checkpoint else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network, mel_filters = _build(amodel, text_config or {})
        super().__init__(mel_filters, tokenize, seed)
        self.network = network
        if state is not None:
            own = self.network.state_dict()
            self.network.load_state_dict({name: state[name] for name in own})
            melw = state["audio_branch.logmel_extractor.melW"]
            self.mel_filters.copy_(melw)
        self.name = f"laion {Path(checkpoint).stem if checkpoint else 'random'}"
        self.temperature = min(100.0, self.network.logit_scale_a.exp().item())
        self.arguments = {
            "amodel": amodel,
            # not resolved: in the hub's cache the name is that of a link, and by it
            # the published checksum is found again
            "checkpoint": checkpoint and str(Path(checkpoint).absolute()),
            "tokenizer": located(tokenizer),
            "text_config": text_config,
            "seed": seed,
            "sha256": sha256,
        }
        self.convolutional = amodel == "PANN-14"
        if self.convolutional:
            self.map_channels, self.map_strides = pann.CHANNELS, pann.STRIDES
        else:
            width = self.network.audio_branch.embed_dim
            self.map_channels = tuple(width * 2**i for i in range(4))
            self.map_strides = htsat.STRIDES
        self.freeze()

    def listen(self, log_mel, window):
        """DB [B, 1, 1001, 64] and where the clip is to embeddings [B, D] and maps."""
        audio = self.network.audio_branch
        if self.convolutional:
            x, maps = pann.listen(audio, log_mel, window)
        else:
            stages = [
                ([lambda x, b=b: b(x)[0] for b in layer.blocks], layer.downsample)
                for layer in audio.layers
            ]
            x, maps = htsat.listen(
                log_mel, window, audio.bn0, audio.patch_embed, stages, audio.norm
            )
        return self.network.audio_projection(x), maps

    def read(self, ids, attention_mask):
        """Tokens [P, L] and which of them count to embeddings [P, D]."""
        text = self.network.text_branch(input_ids=ids, attention_mask=attention_mask)
        return self.network.text_projection(text.pooler_output)

    def audio_blocks(self):
        """Projection, blocks or stages from the coarsest, and what is before them."""
        audio, projection = self.network.audio_branch, self.network.audio_projection
        if self.convolutional:
            top, stem = audio.fc1, [audio.bn0]
            parts = [getattr(audio, f"conv_block{i}") for i in range(1, 7)]
        else:
            top, stem, parts = audio.norm, [audio.bn0, audio.patch_embed], audio.layers
        stages = [(f"stage {i}", part) for i, part in enumerate(parts, start=1)]
        return [
            ("projection", nn.ModuleList([projection, top])),
            *reversed(stages),
            ("stem", nn.ModuleList(stem)),
        ]


def _build(amodel, text_config):
    """The networks with random weights, and the mel matrix."""
    from transformers import RobertaConfig, RobertaModel

    audio = _audio_branch(amodel)
    mel_filters = audio.logmel_extractor.melW
    for part in _UNUSED:
        if hasattr(audio, part):
            delattr(audio, part)
    for module in audio.modules():  # 0 or -100: an integer says that it is not learned
        if getattr(module, "attn_mask", None) is not None:
            module.attn_mask = module.attn_mask.to(torch.int8)
    text = RobertaModel(RobertaConfig(**_ROBERTA | text_config))
    widths = {"HTSAT-tiny": 768, "HTSAT-base": 1024, "PANN-14": 2048}
    network = nn.ModuleDict(
        {
            "audio_branch": audio,
            "audio_projection": _projection(widths[amodel]),
            "text_branch": text,
            "text_projection": _projection(text.config.hidden_size),
        }
    )
    network.register_parameter(
        "logit_scale_a", nn.Parameter(torch.tensor(1 / 0.07).log())
    )
    return network, mel_filters


def _projection(width):
    return nn.Sequential(nn.Linear(width, 512), nn.ReLU(), nn.Linear(512, 512))


def _audio_branch(amodel):
    """laion-clap's own network, by its class: its factory hides what went wrong."""
    front = {"sample_rate": SAMPLE_RATE, "window_size": N_FFT, "hop_size": HOP}
    front |= {"mel_bins": N_MELS, "fmin": F_MIN, "fmax": F_MAX}
    if amodel == "PANN-14":
        return _clap_module("pann_model").Cnn14(**front, classes_num=527)
    width, depth = {"HTSAT-tiny": (96, 6), "HTSAT-base": (128, 12)}[amodel]
    network = _clap_module("htsat").HTSAT_Swin_Transformer
    with warnings.catch_warnings():
        # it leaves out the argument "indexing", whose default is what it means
        warnings.filterwarnings("ignore", "torch.meshgrid", UserWarning)
        return network(
            config=types.SimpleNamespace(**front),
            embed_dim=width,
            depths=[2, 2, depth, 2],
            num_heads=[4, 8, 16, 32],
        )


def _clap_module(name):
    """``laion_clap.clap_module.NAME``, without what its packages do when imported."""
    spec = importlib.util.find_spec("laion_clap")
    if spec is None or importlib.util.find_spec("torchlibrosa") is None:
        raise ConfigError(
            "laion-clap is not installed; install it with pip install "
            "'speechbrain-lmac[laion]', or use the hf backend"
        )
    if _PACKAGE not in sys.modules:
        package = types.ModuleType(_PACKAGE)
        package.__path__ = [str(Path(spec.origin).parent / "clap_module")]
        sys.modules[_PACKAGE] = package
    # pann_model sets NUMBA_CACHE_DIR
    with _torchvision(), mock.patch.dict(os.environ):
        return importlib.import_module(f"{_PACKAGE}.{name}")


@contextlib.contextmanager
def _torchvision():
    """An empty torchvision where there is none: a class of it is imported, not used.

    The real one cannot be asked for: installed beside a torch for CPUs, it breaks on
    import, and torchmetrics with it.
    """
    if importlib.util.find_spec("torchvision") is not None:
        yield
        return
    stubs = {}
    for name in ("torchvision", "torchvision.ops", "torchvision.ops.misc"):
        stubs[name] = types.ModuleType(name)
        stubs[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
    stubs["torchvision.ops.misc"].FrozenBatchNorm2d = nn.BatchNorm2d
    sys.modules.update(stubs)
    try:
        yield
    finally:
        for name in stubs:
            del sys.modules[name]
