"""Clips longer than a window: masked and heard piece by piece, as if in one."""

import math

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from speechbrain_lmac import audio, piecewise
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.spectrogram import STFT
from speechbrain_lmac.windows import split

PROMPTS = ["a dog barking", "rain"]
RATE = 16000


def clip(seconds):
    length = round(seconds * RATE)
    tone = torch.sin(torch.arange(length) * 0.2)
    return 0.1 * torch.randn(length) + 0.3 * tone


def close(a, b, tolerance=1e-5):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= tolerance


# ---- the same as in one ----


def test_similarity_of_a_long_clip_is_that_of_the_mean(model):
    wav = clip(12)
    (out,) = model.interpret_batch(wav[None], PROMPTS)
    classifier = model.mods.classifier
    pieces = split(wav, 80000, 16000)
    vectors = torch.stack(
        [classifier.encode(classifier.stft(x[None]).abs()).embedding[0] for x in pieces]
    )
    mean = vectors.mean(0)
    expected = classifier.embed_text(PROMPTS) @ (mean / mean.norm())
    close(out.similarity.before, expected)


def test_a_long_clip_is_masked_window_by_window(model):
    wav = clip(9) * torch.linspace(0.01, 1, 9 * RATE)  # windows at 0 and 4 s differ
    (out,) = model.interpret_batch(wav[None], PROMPTS)
    classifier = model.mods.classifier
    for name, act in (("kept", model.masking.keep), ("removed", model.masking.remove)):
        vectors = []
        for start in (0, 200):
            piece = wav[start * 320 :][:80000]
            part = out.mask[..., start : start + 251]
            masked = act(part, classifier.stft(piece).abs())
            vectors.append(classifier.encode(masked).embedding)
        mean = sum(vectors) / 2
        mean = mean / mean.norm(dim=1, keepdim=True)
        expected = (mean * classifier.embed_text(PROMPTS)).sum(1)
        close(getattr(out.similarity, name), expected, 2e-5)


def test_masks_of_a_long_clip_are_those_of_its_windows(model):
    wav = clip(9)  # windows at 0 and 4 s, so that seconds 4 to 5 are in both
    (out,) = model.interpret_batch(wav[None], PROMPTS)
    (first,) = model.interpret_batch(wav[None, :80000], PROMPTS)
    (last,) = model.interpret_batch(wav[None, -80000:], PROMPTS)
    close(out.mask[..., :199], first.mask[..., :199])
    close(out.mask[..., -199:], last.mask[..., -199:])
    both = torch.stack([first.mask[..., 200:251], last.mask[..., :51]])
    shared = out.mask[..., 200:251]
    assert (both.amin(0) - 1e-5 <= shared).all() and (
        shared <= both.amax(0) + 1e-5
    ).all()


def test_batches_of_windows_change_nothing(model, monkeypatch):
    wav = clip(17)
    (together,) = model.interpret_batch(wav[None], PROMPTS)
    monkeypatch.setattr(piecewise, "BATCH", 1)
    (apart,) = model.interpret_batch(wav[None], PROMPTS)
    close(together.mask, apart.mask)
    close(together.similarity.kept, apart.similarity.kept)


@pytest.mark.parametrize("seconds", [0.1, 5, 30, 600])
def test_windows_go_through_the_classifier_in_batches(model, tmp_path, seconds):
    """The classifier never gets more than BATCH windows, however long the clip."""
    sizes = []
    encode = model.mods.classifier.encode

    def spy(energies, domain="stft"):
        sizes.append(tuple(energies.shape))
        return encode(energies, domain)

    model.mods.classifier.encode = spy
    path, wav = tmp_path / "long clip.wav", clip(seconds)
    audio.write(path, wav, RATE)
    out = model.interpret_file(path, PROMPTS[:1])
    windows = max(1, math.ceil((seconds - 5) / 4) + 1)
    assert max(size[0] for size in sizes) == min(windows, piecewise.BATCH)
    # the clip, to be explained; what is kept and removed; the sound of it
    assert sum(size[0] for size in sizes) == 4 * windows
    assert {size[-1] for size in sizes} == {251}
    assert out.waveform.shape == (1, len(wav)) and out.waveform.isfinite().all()
    # the last window is explained, as it is alone
    last = audio.read(path, RATE)[-5 * RATE :]
    (alone,) = model.interpret_batch(last[None], PROMPTS[:1])
    close(out.mask[..., -50:], alone.mask[..., -50:])


@pytest.mark.parametrize("samples", [100, 16000, 23 * 320, 50001, 96001])
def test_playing_in_blocks_changes_nothing(model, monkeypatch, samples):
    wav = clip(samples / RATE)
    whole = model.interpret_batch(wav[None], PROMPTS)[0]
    monkeypatch.setattr(piecewise, "BLOCK", 23)
    blocks, sizes = model.interpret_batch(wav[None], PROMPTS)[0], []
    close(blocks.waveform, whole.waveform)
    close(blocks.removed, whole.removed)
    close(blocks.magnitude, whole.magnitude, 1e-4)
    inverse = model.mods.classifier.stft.inverse

    def spy(spectrum, length):
        sizes.append(spectrum.shape[-1])
        return inverse(spectrum, length)

    monkeypatch.setattr(model.mods.classifier.stft, "inverse", spy)
    model.interpret_batch(wav[None], PROMPTS)
    assert max(sizes) <= 23 + 2 * 8 + 1


@pytest.mark.parametrize("samples", [1, 319, 513, 7360, 7361, 21 * 320 - 1, 50001])
@pytest.mark.parametrize("hop, n_fft", [(320, 1024), (160, 512), (256, 1024)])
def test_blocks_give_the_transform_of_the_whole(monkeypatch, samples, hop, n_fft):
    """Straight from the definition, at lengths that are no multiple of anything."""
    monkeypatch.setattr(piecewise, "BLOCK", 11)
    stft, wav = STFT(RATE, n_fft, hop), clip(samples / RATE)
    filled = torch.nn.functional.pad(wav, (0, -samples % hop))
    spectrum = stft(filled)
    x, masking = spectrum.abs(), Masking(stft.full_scale)
    mask = torch.rand(2, *x.shape)
    kept, removed, magnitude = piecewise.play(stft, masking, wav, mask)
    close(magnitude, x)
    for part, sound, rest in zip(mask, kept, removed, strict=True):
        close(sound, stft.playback(masking.keep(part, x), spectrum, samples))
        close(rest, stft.playback(masking.remove(part, x), spectrum, samples))


# ---- memory ----


class Memory(TorchDispatchMode):
    """Counts the bytes of all tensors made inside that are alive at the same time."""

    def __init__(self):
        super().__init__()
        self.alive, self.peak = {}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        old = {x.untyped_storage()._cdata for x in _tensors((args, kwargs))}
        out = function(*args, **(kwargs or {}))
        for tensor in _tensors(out):
            storage = tensor.untyped_storage()
            if storage._cdata not in old:
                self.alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.alive = {k: v for k, v in self.alive.items() if not v[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))
        return out


def _tensors(tree):
    return [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor)]


def test_memory_is_counted():
    with Memory() as memory:
        x = torch.zeros(1000)
        y = [x.add_(1)[:10], x + x]
        del y
        x.square().square()
    assert memory.peak == 3 * 4000


def work(call, *args):
    """Bytes that a call held at the most, beside what it returned."""
    with Memory() as memory:
        out = call(*args)
    tensors = _tensors(vars(out[0]) if isinstance(out, list) else out)
    kept = {x.untyped_storage()._cdata: x.untyped_storage().nbytes() for x in tensors}
    return memory.peak - sum(kept[key] for key in kept if key in memory.alive)


@pytest.fixture
def short_pieces(monkeypatch):
    """So that they are smaller than what a copy of a clip would be."""
    monkeypatch.setattr(piecewise, "BATCH", 2)
    monkeypatch.setattr(piecewise, "BLOCK", 250)


def test_memory_does_not_grow_with_the_clip(model, short_pieces):
    """Not by a copy of anything as long as the clip, the smallest being its samples."""
    sizes = [
        work(model.interpret_batch, clip(seconds)[None], PROMPTS)
        for seconds in (20, 60)
    ]
    a_copy = 4 * 40 * RATE
    assert sizes[1] - sizes[0] < a_copy / 10
    # the masks of the longer clip would need more than all that was used
    assert sizes[1] < 4 * 2 * 513 * 60 * 50


@pytest.mark.parametrize("step", ["hear", "explain", "hear_masked", "play"])
def test_memory_of_each_step(model, short_pieces, step):
    classifier, masking = model.mods.classifier, model.masking
    text = classifier.embed_text(PROMPTS)
    used = []
    for seconds in (15, 35):
        wav, mask = clip(seconds), torch.rand(2, 513, 50 * seconds + 1)
        call, *args = {
            "hear": (piecewise.hear, classifier, wav.expand(2, -1)),
            "explain": (piecewise.explain, classifier, model.explainer, wav, text),
            "hear_masked": (piecewise.hear_masked, classifier, masking, wav, mask),
            "play": (piecewise.play, classifier.stft, masking, wav, mask),
        }[step]
        with torch.no_grad():
            used.append(work(call, *args))
    assert used[1] - used[0] < 4 * 20 * RATE / 10


def test_energy_is_counted_without_a_copy(model):
    (out,) = model.interpret_batch(clip(1)[None], PROMPTS)
    used = []
    for seconds in (20, 60):
        out.waveform, out.original = clip(seconds).expand(2, -1), clip(seconds)
        with Memory() as memory:
            share = out.energy_kept
        used.append(memory.peak)
        assert ((share - share[0]).abs() < 1e-6).all() and share.shape == (2,)
    assert used[1] - used[0] < 4000
