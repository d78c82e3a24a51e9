"""The recordings that ``mini`` learns from, and mixtures with teacher targets."""

import csv
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from teachers import YAMNet
from tqdm import tqdm

from speechbrain_lmac.audio import read

RATE, SAMPLES = 16000, 80000
# UrbanSound8K's names for what ESC-50 calls otherwise
SAME = {"dog bark": "dog", "engine idling": "engine"}


def _class_name(name):
    name = name.replace("_", " ")
    return SAME.get(name, name)


def catalogue(data_folder, esc50_folds, urbansound_folds, exclude_csv=None):
    """Paths and class names of the recordings of some folds.

    Arguments
    ---------
    data_folder : str or Path
        Holds ``ESC-50`` and ``UrbanSound8K``.
    esc50_folds, urbansound_folds : list of int
        Which folds.
    exclude_csv : str or Path
        Lists recordings that stand in both sets (set, fold, file, fsID, ...): those
        that also stand in a fold of the other set that is not trained on are left out.

    Returns
    -------
    list of (Path, str)
        File and class name.
    """
    data_folder, rows = Path(data_folder), []
    with open(data_folder / "ESC-50" / "meta" / "esc50.csv", newline="") as f:
        for r in csv.DictReader(f):
            if int(r["fold"]) in esc50_folds:
                path = data_folder / "ESC-50" / "audio" / r["filename"]
                rows.append((path, _class_name(r["category"])))
    table = data_folder / "UrbanSound8K" / "metadata" / "UrbanSound8K.csv"
    with open(table, newline="") as f:
        for r in csv.DictReader(f):
            if int(r["fold"]) in urbansound_folds:
                folder = data_folder / "UrbanSound8K" / "audio" / f"fold{r['fold']}"
                rows.append((folder / r["slice_file_name"], _class_name(r["class"])))
    shared = _shared_with_heldout(exclude_csv, esc50_folds, urbansound_folds)
    rows = [(p, c) for p, c in rows if p.stem not in shared]
    return [(p if p.exists() else p.with_suffix(".ogg"), c) for p, c in rows]


def _shared_with_heldout(path, esc50_folds, urbansound_folds):
    if path is None:
        return set()
    trained = {"ESC-50": esc50_folds, "UrbanSound8K": urbansound_folds}
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    held = {r["fsID"] for r in rows if int(r["fold"]) not in trained[r["set"]]}
    return {
        Path(r["file"]).stem
        for r in rows
        if r["fsID"] in held or r["has_heldout_sibling"] == "True"
    }


def _read(job):
    path, speed = job
    wav = read(path, RATE)
    if speed != 1.0:  # pitch and duration move together, as on a tape
        wav = torch.nn.functional.interpolate(
            wav[None, None], scale_factor=1 / speed, mode="linear"
        )[0, 0]
    wav = wav[:SAMPLES]
    return torch.nn.functional.pad(wav, (0, SAMPLES - len(wav))).half().numpy()


def load_waveforms(paths, speeds, workers=2):
    """Recordings at several speeds, float16 [len(speeds), clips, 5 s at 16 kHz]."""
    jobs = [(p, s) for s in speeds for p in paths]
    with ProcessPoolExecutor(workers) as pool:
        read_in_order = pool.map(_read, jobs, chunksize=32)
        out = list(tqdm(read_in_order, "reading", len(jobs), mininterval=5))
    waves = torch.from_numpy(np.stack(out))
    return waves.reshape(len(speeds), len(paths), SAMPLES)


def draw_scenes(count, clips, speeds, pair_share, seed):
    """What to mix: one row a scene, ``a, speed_a, shift_a, b, speed_b, shift_b, snr``.

    ``b`` is -1 for a single recording; ``snr`` is in dB, a over b.
    """
    rng = np.random.default_rng(seed)
    scenes = np.zeros((count, 7))
    scenes[:, 0] = np.concatenate(
        [rng.permutation(clips) for _ in range(count // clips + 1)]
    )[:count]
    scenes[:, 3] = rng.integers(clips, size=count)
    single = (rng.random(count) > pair_share) | (scenes[:, 0] == scenes[:, 3])
    scenes[single, 3] = -1
    scenes[:, [1, 4]] = rng.integers(speeds, size=(count, 2))
    scenes[:, [2, 5]] = rng.integers(SAMPLES, size=(count, 2))
    scenes[:, 6] = rng.uniform(-10, 10, count)
    return scenes


def sources(scenes, waves):
    """The two sources of scenes at their level in the mixture, [n, 2, samples]."""
    out = torch.zeros(len(scenes), 2, SAMPLES)
    for i, (a, sa, ra, b, sb, rb, snr) in enumerate(scenes):
        pair = [(a, sa, ra, 0.1)]
        if b >= 0:
            pair.append((b, sb, rb, 0.1 * 10 ** (-snr / 20)))
        for k, (clip, speed, shift, level) in enumerate(pair):
            wav, cut = waves[int(speed), int(clip)], SAMPLES - int(shift)
            out[i, k, int(shift) :] = wav[:cut]
            out[i, k, : int(shift)] = wav[cut:]
            rms = torch.linalg.vector_norm(out[i, k]) / SAMPLES**0.5
            out[i, k] *= level / rms.clamp(min=1e-4)
    peak = out.sum(1).abs().amax(1).clamp(min=1e-4)
    return out / peak[:, None, None]


def teacher_targets(scenes, waves, yamnet_path):
    """YAMNet's mean scores and embeddings of every scene.

    Arguments
    ---------
    scenes : np.ndarray
        From :func:`draw_scenes`.
    waves : torch.Tensor
        From :func:`load_waveforms`.
    yamnet_path : str or Path
        The tflite file.

    Returns
    -------
    list of torch.Tensor
        Scores [n, 521] and embeddings [n, 1024], float16.
    """
    yamnet = YAMNet(yamnet_path)
    scores = np.zeros((len(scenes), 521), np.float16)
    embeddings = np.zeros((len(scenes), 1024), np.float16)
    for i in tqdm(range(len(scenes)), "teacher", mininterval=5):
        wav = sources(scenes[i : i + 1], waves)[0].sum(0).numpy()
        s, e = yamnet(wav)
        scores[i], embeddings[i] = s.mean(0), e.mean(0)
    return [torch.from_numpy(scores), torch.from_numpy(embeddings)]
