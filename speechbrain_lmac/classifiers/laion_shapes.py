"""Names and shapes of what a LAION-CLAP checkpoint holds, and what others look like.

Written down from ``laion_clap`` 1.1.7 (clap_module/model.py, htsat.py, pann_model.py
and the model_configs of the same names), so that a file can be judged by its table of
contents.
"""

ARCHITECTURES = ("HTSAT-tiny", "HTSAT-base", "PANN-14")


def identify(found):
    """What a checkpoint is, as far as names and shapes tell.

    Arguments
    ---------
    found : dict
        Shapes by name, without ``module.``.

    Returns
    -------
    str
        An architecture, or what else it looks like.

    Example
    -------
    >>> identify(shapes("PANN-14")), identify({"fc.weight": (2, 2)})
    ('PANN-14', 'something else than CLAP')
    """

    def has(prefix):
        """Whether a name begins so."""
        return any(name.startswith(prefix) for name in found)

    for prefix, kind in _FOREIGN.items():
        if has(prefix):
            return kind
    if not has("audio_branch."):
        return "something else than CLAP"
    patches = found.get("audio_branch.patch_embed.proj.weight", ())
    if patches:
        width = {96: "tiny", 128: "base", 256: "large"}.get(
            patches[0], "of another size"
        )
        kind = f"HTSAT-{width}"
    else:
        blocks = sum(has(f"audio_branch.conv_block{i}.") for i in range(1, 7))
        kind = "PANN-14" if blocks == 6 else "CLAP with another audio branch"
    fusion = any(".fusion_model." in n or ".mel_conv" in n for n in found)
    if fusion or patches[1:2] == (4,):
        kind += " with fusion"
    if found.get("text_branch.embeddings.word_embeddings.weight") != (50265, 768):
        kind += " without RoBERTa"
    return kind


_FOREIGN = {
    "audio_model.": "a ClapModel of transformers (the hf backend takes it)",
    "caption_encoder.": "Microsoft CLAP",
    "sed_model.": "HTS-AT alone, without text",
    "conv_block1.": "PANN alone, without text",
    "attend.": "a decoder of this package",
}


def shapes(architecture):
    """Every tensor of a LAION-CLAP with RoBERTa.

    Arguments
    ---------
    architecture : str
        One of ``ARCHITECTURES``.

    Returns
    -------
    dict
        Shapes by name, as in ``laion_clap`` 1.1.7, without ``module.`` and
        ``position_ids``.

    Example
    -------
    >>> shapes("HTSAT-tiny")["audio_projection.0.weight"]
    (512, 768)
    """
    audio = {
        "HTSAT-tiny": lambda: _htsat(96, (2, 2, 6, 2)),
        "HTSAT-base": lambda: _htsat(128, (2, 2, 12, 2)),
        "PANN-14": _cnn14,
    }[architecture]()
    width = {"HTSAT-tiny": 768, "HTSAT-base": 1024, "PANN-14": 2048}[architecture]
    out = {f"audio_branch.{name}": shape for name, shape in audio.items()}
    out |= {f"text_branch.{name}": shape for name, shape in _roberta().items()}
    for side, size in (("audio", width), ("text", 768)):
        out |= _linear(f"{side}_projection.0", size, 512)
        out |= _linear(f"{side}_projection.2", 512, 512)
        out |= _linear(f"{side}_transform.sequential.0", 512, 512)
        out |= _linear(f"{side}_transform.sequential.3", 512, 512)
        out[f"logit_scale_{side[0]}"] = ()
    return out


def _htsat(width, depths):
    """HTS-AT: four stages of Swin blocks on an image of 256 x 256."""
    out = _front_end() | {"patch_embed.proj.weight": (width, 1, 4, 4)}
    out |= {"patch_embed.proj.bias": (width,)} | _norm("patch_embed.norm", width)
    for stage, (depth, heads) in enumerate(zip(depths, (4, 8, 16, 32), strict=True)):
        grid = 64 // 2**stage
        for number in range(depth):
            block = f"layers.{stage}.blocks.{number}"
            out |= _norm(f"{block}.norm1", width) | _norm(f"{block}.norm2", width)
            out[f"{block}.attn.relative_position_bias_table"] = (225, heads)
            out[f"{block}.attn.relative_position_index"] = (64, 64)
            out |= _linear(f"{block}.attn.qkv", width, 3 * width)
            out |= _linear(f"{block}.attn.proj", width, width)
            out |= _linear(f"{block}.mlp.fc1", width, 4 * width)
            out |= _linear(f"{block}.mlp.fc2", 4 * width, width)
            if (
                number % 2 and grid > 8
            ):  # windows of 8 are shifted in every second block
                out[f"{block}.attn_mask"] = ((grid // 8) ** 2, 64, 64)
        if stage < 3:
            out[f"layers.{stage}.downsample.reduction.weight"] = (2 * width, 4 * width)
            out |= _norm(f"layers.{stage}.downsample.norm", 4 * width)
            width *= 2
    out |= _norm("norm", width) | _linear("head", 527, 527)
    return out | {"tscam_conv.weight": (527, width, 2, 3), "tscam_conv.bias": (527,)}


def _cnn14():
    """PANN's CNN of 14 layers."""
    out, width = _front_end(), 1
    for block, size in enumerate((64, 128, 256, 512, 1024, 2048), start=1):
        for number in (1, 2):
            out[f"conv_block{block}.conv{number}.weight"] = (size, width, 3, 3)
            out |= _batch_norm(f"conv_block{block}.bn{number}", size)
            width = size
    return out | _linear("fc1", 2048, 2048) | _linear("fc_audioset", 2048, 527)


def _front_end():
    """STFT, mel matrix and the norm of mel bands, which both audio branches share."""
    parts = {f"spectrogram_extractor.stft.conv_{p}.weight" for p in ("real", "imag")}
    out = dict.fromkeys(parts, (513, 1, 1024)) | {"logmel_extractor.melW": (513, 64)}
    return out | _batch_norm("bn0", 64)


def _roberta():
    """RoBERTa-base with its pooler."""
    out = _norm("embeddings.LayerNorm", 768)
    for name, size in (("word", 50265), ("position", 514), ("token_type", 1)):
        out[f"embeddings.{name}_embeddings.weight"] = (size, 768)
    for number in range(12):
        layer = f"encoder.layer.{number}"
        for name in ("query", "key", "value"):
            out |= _linear(f"{layer}.attention.self.{name}", 768, 768)
        out |= _linear(f"{layer}.attention.output.dense", 768, 768)
        out |= _norm(f"{layer}.attention.output.LayerNorm", 768)
        out |= _linear(f"{layer}.intermediate.dense", 768, 3072)
        out |= _linear(f"{layer}.output.dense", 3072, 768)
        out |= _norm(f"{layer}.output.LayerNorm", 768)
    return out | _linear("pooler.dense", 768, 768)


def _linear(name, size, out):
    return {f"{name}.weight": (out, size), f"{name}.bias": (out,)}


def _norm(name, size):
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _batch_norm(name, size):
    running = {f"{name}.running_mean": (size,), f"{name}.running_var": (size,)}
    return _norm(name, size) | running | {f"{name}.num_batches_tracked": ()}
