"""The demonstration: a mixture of two synthesised sounds, explained for two prompts.

    python -m speechbrain_lmac.demo --out demo

Both sources are known, so it also prints how much closer to its source each
explanation is than the mixture was.
"""

import argparse
import sys
from pathlib import Path

import torch

from speechbrain_lmac import audio
from speechbrain_lmac.data import synth
from speechbrain_lmac.errors import exit_code

SOUNDS = ("siren", "helicopter")
PROMPTS = ("the sound of a siren", "the sound of a helicopter")
SEEDS = (3, 4)  # other than those of the training set, which count from 0


def make_mixture(path, sample_rate):
    """Writes the mixture of both sounds at 0 dB.

    Arguments
    ---------
    path : str or Path
        The wav file.
    sample_rate : int
        In Hz.

    Returns
    -------
    torch.Tensor
        Both sources at their level in the mixture [2, N].
    """
    first, second = (
        synth.synthesise(name, 10**9 + seed, sample_rate=sample_rate)
        for name, seed in zip(SOUNDS, SEEDS, strict=True)
    )
    mixture = synth.mix(first, second, snr_db=0.0)
    sources = torch.stack([first, mixture - first]) * 0.5 / mixture.abs().max()
    audio.write(path, sources.sum(0), sample_rate)
    return sources


def explain(interpreter, folder):
    """Explain the mixture, save all of it, and say what was found.

    Arguments
    ---------
    interpreter : LMACZSInterpreter
        Any.
    folder : str or Path
        Gets ``mixture.wav``, an explanation in ``explanation/``, and
        ``explanation.png``, the picture of both prompts.

    Returns
    -------
    str
        A table, ready to print.
    """
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

    folder = Path(folder)
    rate = interpreter.mods.classifier.sample_rate
    sources = make_mixture(folder / "mixture.wav", rate)
    explanation = interpreter.interpret_file(folder / "mixture.wav", PROMPTS)
    explanation.save(folder / "explanation")
    explanation.plot().savefig(folder / "explanation.png", dpi=80)
    ratio = scale_invariant_signal_distortion_ratio
    gain = ratio(explanation.waveform, sources) - ratio(
        explanation.original.expand_as(sources), sources
    )
    lines = [
        f"{'':26s}similarity before   kept  removed  heard   mask  closer to source"
    ]
    for i, prompt in enumerate(explanation.prompts):
        s = explanation.similarity
        lines.append(
            f"{prompt:26s}{s.before[i]:17.2f}{s.kept[i]:7.2f}{s.removed[i]:9.2f}"
            f"{s.heard[i]:7.2f}{explanation.mask[i].mean():7.2f}{gain[i]:15.1f} dB"
        )
    return "\n".join(lines)


def main():
    """Command line."""
    from speechbrain_lmac.interpreter import LMACZSInterpreter

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="demo", type=Path)
    parser.add_argument("--trained", help="the folder that a training exported")
    options = parser.parse_args()
    models = {"the decoder that ships": "mini"}
    if options.trained:
        models["the decoder trained a minute ago"] = options.trained

    def action():
        """Explains by one decoder after the other."""
        for title, model in models.items():
            folder = options.out / ("shipped" if model == "mini" else "trained")
            print(f"\nA siren and a helicopter at 0 dB, explained by {title}:")
            print(explain(LMACZSInterpreter.from_hparams(model), folder))
            print(f"the mixture {folder}/mixture.wav, its picture explanation.png, and")
            print(
                f"what was heard for each prompt, with numbers: {folder}/explanation/"
            )

    return exit_code(action)


if __name__ == "__main__":
    sys.exit(main())
