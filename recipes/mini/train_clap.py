"""Make the embedded default classifier: python train_clap.py clap_mini.yaml

Stages whose result stands in the work folder are not run again.
"""

import hashlib
import json
import logging
import sys
from pathlib import Path

import speechbrain as sb
import torch
from clips import catalogue, draw_scenes, load_waveforms, sources, teacher_targets
from sentences import corpus
from teachers import sentence_embeddings
from train_audio import train_audio_tower
from train_text import train_text_tower

from speechbrain_lmac import atomic
from speechbrain_lmac.checkpoint import save_mini
from speechbrain_lmac.classifiers.mini import MiniCLAP
from speechbrain_lmac.errors import exit_code
from speechbrain_lmac.settings import load_settings

logger = logging.getLogger("train_clap")
TEXT_SETTINGS = (
    "vocabulary_size",
    "text_width",
    "token_width",
    "text_steps",
    "text_batch",
    "text_lr",
    "embedding_dim",
    "seed",
)


def digest(values):
    """What tells one set of plain values from another."""
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()


def cached(path, make, depends_on):
    """What ``make`` returns, kept in a file for the same inputs."""
    key = digest(depends_on)
    if path.exists():
        kept = torch.load(path, weights_only=True)
        if kept["key"] == key:
            return kept["value"]
        logger.warning("%s is of other settings: made again", path)
    value = make()
    with atomic.opened(path) as file:
        torch.save({"key": key, "value": value}, file)
    return value


def main(argv):
    """Text tower, teacher targets, audio tower, export; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    hparams_file, _, overrides = sb.parse_arguments(argv)
    return exit_code(lambda: make_mini(load_settings(hparams_file, overrides)))


def make_mini(h):
    """The stages, with the settings of the yaml."""
    torch.manual_seed(h["seed"])
    work = Path(h["work_folder"])
    work.mkdir(parents=True, exist_ok=True)

    sentences = corpus(h["data_folder"], h["seed"])
    targets = cached(
        work / "sentences.pt", lambda: sentence_embeddings(sentences).half(), sentences
    )

    def text_stage():
        tower = train_text_tower(sentences, targets, h)
        return {
            "vocabulary": tower.pieces.serialized_model_proto(),
            "weights": tower.state_dict(),
        }

    settings = [h[k] for k in TEXT_SETTINGS]
    text = cached(work / "text.pt", text_stage, settings + sentences)

    held_out = set(h["held_out_classes"])
    rows = catalogue(
        h["data_folder"], h["esc50_folds"], h["urbansound_folds"], h["exclude_csv"]
    )
    rows = [(p, c) for p, c in rows if c not in held_out]
    paths, classes = zip(*rows, strict=True)
    names = [*sorted(set(classes)), "silence"]
    labels = torch.tensor([names.index(c) for c in classes])
    waves = cached(
        work / "waves.pt",
        lambda: load_waveforms(paths, h["speeds"]),
        [paths, h["speeds"]],
    )
    scenes = draw_scenes(
        h["scenes"], len(paths), len(h["speeds"]), h["pair_share"], h["seed"]
    )
    yamnet = Path(h["data_folder"]) / "teacher" / "yamnet.tflite"
    scores, embeddings = cached(
        work / "teacher.pt",
        lambda: teacher_targets(scenes, waves, yamnet),
        [paths, h["speeds"], scenes.tolist(), yamnet.stat().st_size],
    )

    torch.manual_seed(h["seed"])  # the same start whatever stood in the work folder
    classifier = MiniCLAP(
        text["vocabulary"],
        **{k: h[k] for k in ("sample_rate", "n_fft", "hop_length", "n_mels", "f_min")},
        audio={k: h[k] for k in ("channels", "blocks", "embedding_dim")},
        text={
            "width": h["text_width"],
            "token_width": h["token_width"],
            "embedding_dim": h["embedding_dim"],
        },
    )
    classifier.text.load_state_dict(text["weights"])
    data = {
        "waves": waves,
        "scenes": scenes,
        "scores": scores,
        "embeddings": embeddings,
        "sentences": sentences,
        "targets": targets,
    }
    train_audio_tower(
        classifier,
        names,
        labels,
        data,
        lambda rows: sources(scenes[rows.numpy()], waves),
        h,
        work / f"audio-{digest([paths, h])[:12]}.ckpt",  # of these settings alone
    )
    save_mini(classifier, h["output_folder"])
    logger.info("%d recordings of %d classes", len(paths), len(names))
    logger.info("saved in %s", h["output_folder"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
