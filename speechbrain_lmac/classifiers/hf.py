"""CLAP through transformers: any ``ClapModel`` of a folder or of the hub."""

import contextlib
import pickle
import re
from pathlib import Path

import torch
import torch.nn as nn

from speechbrain_lmac import hub
from speechbrain_lmac.classifiers import htsat
from speechbrain_lmac.classifiers.clap import (
    F_MAX,
    F_MIN,
    N_FFT,
    N_MELS,
    SAMPLE_RATE,
    CLAPFrontEnd,
)
from speechbrain_lmac.classifiers.tokenizer import load_tokenizer, located
from speechbrain_lmac.errors import CheckpointError, ConfigError

_FILES = ("config.json", "tokenizer.json", "vocab.json", "merges.txt")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_REMEDY = "download laion/clap-htsat-unfused from the hub and give its folder"


class HFCLAP(CLAPFrontEnd):
    """LAION's CLAP in transformers: HTSAT of any size, and RoBERTa.

    Arguments
    ---------
    source : str | Path
        A folder with ``config.json`` and weights, or a repository of the hub, such as
        ``laion/clap-htsat-unfused``, ``laion/larger_clap_general`` or
        ``laion/larger_clap_music``. ConfigError and CheckpointError, in one line, for
        one that is not there, not a CLAP, one with fusion, or damaged.
    tokenizer : str | Path, optional
        Folder of RoBERTa's tokenizer, or its name on the hub; by default the one that
        comes with the source.
    seed : int
        Chooses the part that is heard of a clip over ten seconds.
    """

    def __init__(self, source="laion/clap-htsat-unfused", tokenizer=None, seed=0):
        from transformers.audio_utils import mel_filter_bank

        folder = Path(source) if Path(source).is_dir() else _from_hub(str(source))
        tokenize = load_tokenizer(tokenizer or folder)
        network = _load(folder)
        # as the checkpoints' preprocessor_config.json has it, and without fusion; the
        # defaults of ClapFeatureExtractor are others
        mel_filters = mel_filter_bank(
            num_frequency_bins=N_FFT // 2 + 1,
            num_mel_filters=N_MELS,
            min_frequency=F_MIN,
            max_frequency=F_MAX,
            sampling_rate=SAMPLE_RATE,
            norm="slaney",
            mel_scale="slaney",
        )
        super().__init__(torch.tensor(mel_filters).float(), tokenize, seed)
        self.network = network
        self.name = f"hf {Path(source).name}"
        self.temperature = min(100.0, network.logit_scale_a.exp().item())
        width = network.config.audio_config.patch_embeds_hidden_size
        self.map_channels = tuple(width * 2**i for i in range(4))
        self.map_strides = htsat.STRIDES
        self.embedding_dim = network.config.projection_dim
        local = Path(source).is_dir()
        self.arguments = {
            "source": str(folder.resolve() if local else source),
            "tokenizer": tokenizer and located(tokenizer),
            "seed": seed,
        }
        self.freeze()

    def listen(self, log_mel, window):
        """DB [B, 1, 1001, 64] and where the clip is to embeddings [B, D] and maps."""
        audio = self.network.audio_model.audio_encoder
        x, maps = htsat.listen(
            log_mel,
            window,
            audio.batch_norm,
            audio.patch_embed,
            map(_stage, audio.layers, audio.input_resolutions),
            audio.norm,
        )
        return self.network.audio_projection(x), maps

    def read(self, ids, attention_mask):
        """Tokens [P, L] and which of them count to embeddings [P, D]."""
        # get_text_features returns a tensor or an object, by version
        text = self.network.text_model(input_ids=ids, attention_mask=attention_mask)
        return self.network.text_projection(text.pooler_output)

    def audio_blocks(self):
        """Projection, the four stages from the coarsest, and what comes before them."""
        audio = self.network.audio_model.audio_encoder
        stages = [(f"stage {i}", s) for i, s in enumerate(audio.layers, start=1)]
        return [
            ("projection", nn.ModuleList([self.network.audio_projection, audio.norm])),
            *reversed(stages),
            ("stem", nn.ModuleList([audio.batch_norm, audio.patch_embed])),
        ]


def _stage(layer, grid):
    """The blocks of a stage, and what merges its tokens."""
    blocks = [lambda x, b=b: b(x, grid)[0] for b in layer.blocks]
    merge = layer.downsample and (lambda x: layer.downsample(x, grid))
    return blocks, merge


def _load(folder):
    """The ClapModel of a folder, every weight of it from the file."""
    from safetensors import SafetensorError
    from transformers import AutoConfig, ClapModel

    damage = (
        OSError,
        ValueError,
        RuntimeError,
        SafetensorError,
        pickle.UnpicklingError,
    )
    try:
        config = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder}: no config.json of a known model; {_REMEDY}"
        ) from error
    if config.model_type != "clap":
        raise ConfigError(f"{folder}: a {config.model_type}, not a clap; {_REMEDY}")
    if config.audio_config.enable_fusion:
        raise ConfigError(f"{folder}: a CLAP with feature fusion; {_REMEDY}")
    if not any((folder / name).is_file() for name in _WEIGHTS):
        raise CheckpointError(f"{folder}: no {' or '.join(_WEIGHTS)} in it; {_REMEDY}")
    try:
        with _quiet():
            network, said = ClapModel.from_pretrained(
                folder, local_files_only=True, output_loading_info=True
            )
    except damage as error:
        raise CheckpointError(f"{folder}: damaged weights; {_REMEDY}") from error
    needed = {name for name, _ in network.named_parameters()}
    needed |= {name for name, _ in network.named_buffers() if "norm" in name}
    wrong = sorted(needed & set(said["missing_keys"]))
    wrong += sorted(map(str, said["mismatched_keys"]))
    if wrong:
        raise CheckpointError(
            f"{folder}: {len(wrong)} weights are missing or of another shape, such as "
            f"{wrong[0]}; {_REMEDY}"
        )
    return network.float()  # it comes in the type of the files


@contextlib.contextmanager
def _quiet():
    """No progress bars and reports: what they would say becomes an error here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _from_hub(repository):
    """The folder in the hub's cache that has a repository's model and tokenizer."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ConfigError(f"{repository}: no such folder; {_REMEDY}")
    for weights in _WEIGHTS:
        folder = hub.fetch(repository, [*_FILES, weights], _REMEDY)
        if (folder / weights).is_file():
            break
    return folder
