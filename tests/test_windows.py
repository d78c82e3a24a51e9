"""Windows cover a clip, and what they give is put together without a seam."""

import pytest
import torch

from speechbrain_lmac.testing import random_classifier
from speechbrain_lmac.windows import Windows, join, split, starts


@pytest.mark.parametrize("length", [1, 99, 100, 101, 180, 181, 260, 1234])
@pytest.mark.parametrize("overlap", [0, 1, 20, 50, 80])
def test_windows_cover_and_join_inverts_split(length, overlap):
    firsts = starts(length, 100, 100 - overlap)
    covered = {i for first in firsts for i in range(first, first + 100)}
    assert covered >= set(range(length))
    assert length < 100 or max(covered) == length - 1
    waveform = torch.rand(length) - 0.5
    pieces = split(waveform, 100, overlap)
    assert pieces.shape == (len(firsts), 100)
    assert (join(pieces, length, overlap) - waveform).abs().max() < 1e-6
    # Further dimensions, such as one waveform for each prompt, ride along.
    stacked = split(torch.stack([waveform, -2 * waveform]), 100, overlap)
    joined = join((x for x in stacked.unbind(-2)), length, overlap)
    assert (joined - torch.stack([waveform, -2 * waveform])).abs().max() < 2e-6


def test_cross_fade_is_gradual():
    """Two windows that disagree meet in a ramp without a jump."""
    pieces = torch.stack([torch.zeros(100), torch.ones(100)])
    joined = join(pieces, 180, 20)
    assert joined[:80].eq(0).all() and joined[100:].eq(1).all()
    assert joined.diff().min() >= 0 and joined.diff().max() < 0.1


@pytest.mark.parametrize("windows", [0, 1, 3])
def test_join_refuses_another_number_of_windows(windows):
    with pytest.raises(ValueError, match="windows"):
        join(torch.zeros(windows, 100), 180, 20)


@pytest.mark.parametrize("length", [1, 79999, 80001, 200123, 9 * 64000 + 5])
@pytest.mark.parametrize("size", [1, 2, 8])
def test_batches_are_parts_of_all_windows(length, size):
    """Cut lazily they are what the filled clip has at their starts."""
    windows = Windows(random_classifier(), length)
    clips = torch.rand(2, length)
    filled = torch.nn.functional.pad(clips, (0, (windows.total - 1) * 320 - length))
    whole = [filled[:, i * 320 : i * 320 + 80000] for i in windows.starts]
    cut = [windows.cut(clips, batch) for batch in windows.batches(size)]
    assert max(part.shape[1] for part in cut) <= size
    assert torch.equal(torch.cat(cut, 1), torch.stack(whole, 1))
    assert windows.starts[-1] + windows.frames == windows.total
