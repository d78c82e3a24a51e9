"""Each term of the loss against a literal loop over its bins."""

import math

import pytest
import torch

from speechbrain_lmac import objective


def test_similarity_matching():
    masked, target, weight = torch.rand(3, 4), torch.rand(3, 4), torch.rand(3, 4)
    plain, weighted, total = 0.0, 0.0, 0.0
    for i in range(3):
        for j in range(4):
            distance = abs(target[i, j].item() - masked[i, j].item())
            plain += distance / 12
            weighted += weight[i, j].item() * distance
            total += weight[i, j].item()
    given = objective.similarity_matching(masked, target)
    assert given.item() == pytest.approx(plain, abs=1e-6)
    given = objective.similarity_matching(masked, target, weight)
    assert given.item() == pytest.approx(weighted / total, abs=1e-6)
    nothing = objective.similarity_matching(masked, target, torch.zeros(3, 4))
    assert nothing.item() == 0


def test_mask_mean():
    mask = torch.rand(2, 3, 4, 5)
    total = 0.0
    for i in range(2):
        for j in range(3):
            l1 = sum(abs(v) for v in mask[i, j].reshape(-1).tolist())
            total += l1 / 20 / 6
    assert objective.mask_mean(mask).item() == pytest.approx(total, abs=1e-6)
    only = torch.zeros(2, 3)
    only[1, 2] = 0.5
    given = objective.mask_mean(mask, only).item()
    assert given == pytest.approx(mask[1, 2].mean().item(), abs=1e-6)


def test_prompt_diversity():
    masks, energies = torch.rand(2, 3, 4, 5), torch.rand(2, 4, 5)
    text = torch.nn.functional.normalize(torch.randn(2, 3, 6), dim=-1)
    terms = []
    for i in range(2):
        for j in range(3):
            for k in range(3):
                if j == k:
                    continue
                a = (masks[i, j] * energies[i]).reshape(-1)
                b = (masks[i, k] * energies[i]).reshape(-1)
                apart = math.dist((a / a.norm()).tolist(), (b / b.norm()).tolist())
                wanted = math.dist(text[i, j].tolist(), text[i, k].tolist())
                terms.append(abs(apart - wanted))
    given = objective.prompt_diversity(masks, energies, text).item()
    assert given == pytest.approx(sum(terms) / len(terms), abs=1e-5)
    single = objective.prompt_diversity(masks[:, :1], energies, text[:, :1])
    assert single.item() == 0


@pytest.mark.parametrize("autocast", [False, True])
def test_masks_that_are_alike_are_driven_apart(autocast):
    """Also under autocast, whose cosines would be 1."""
    masks = torch.rand(1, 1, 8, 9) + 0.01 * torch.rand(1, 2, 8, 9)
    masks.requires_grad_()
    text = torch.eye(2).unsqueeze(0)
    with torch.autocast("cpu", torch.bfloat16, autocast):
        objective.prompt_diversity(masks, torch.rand(1, 8, 9), text).backward()
    assert masks.grad.norm() > 0.1


def test_loudness_matching():
    kept, source, mixture = torch.rand(3, 3, 4, 5)
    terms = []
    for i in range(3):
        error = (kept[i] - source[i]).reshape(-1).tolist()
        terms.append(sum(map(abs, error)) / sum(mixture[i].reshape(-1).tolist()))
    given = objective.loudness_matching(kept, source, mixture).item()
    assert given == pytest.approx(sum(terms) / 3, abs=1e-6)
    none = torch.zeros(0, 4, 5)
    assert objective.loudness_matching(none, none, none).item() == 0
    silent = torch.zeros(1, 4, 5)
    assert objective.loudness_matching(silent, silent, silent).item() == 0


def test_mask_order():
    """Each rival is asked to be half as large or less, however small both are."""
    mask = torch.rand(3, 4, 5)
    rivals = torch.rand(3, 2, 4, 5) * torch.tensor([0.1, 1.0, 3.0]).reshape(3, 1, 1, 1)
    wanted = []
    for clip in range(3):
        for rival in rivals[clip]:
            ratio = 2 * (rival.mean().item() + 0.1) / (mask[clip].mean().item() + 0.1)
            wanted.append(max(0.0, math.log(ratio)))
    given = objective.mask_order(mask, rivals, floor=0.1)
    assert given.item() == pytest.approx(sum(wanted) / len(wanted), rel=1e-5)
    assert min(wanted) == 0 < max(wanted)
    assert objective.mask_order(mask, 0.4 * mask.unsqueeze(1), floor=0.0) == 0
    assert objective.mask_order(mask, mask[:, None][:, :0]) == 0


def test_confidence_drop():
    masked, target = torch.randn(2, 5, 4)
    prompt, terms = torch.tensor([0, 3, 1, 1, 2]), []
    for i in range(5):
        log = []
        for row in (target[i].tolist(), masked[i].tolist()):
            powers = [math.exp(2.5 * s) for s in row]
            log.append(math.log(powers[prompt[i]] / sum(powers)))
        terms.append(max(0.0, log[0] - log[1]))
    assert 0 < sum(t > 0 for t in terms) < 5  # both cases occur
    given = objective.confidence_drop(masked, target, 2.5, prompt).item()
    assert given == pytest.approx(sum(terms) / 5, abs=1e-5)
    none = torch.zeros(0, 4)
    assert objective.confidence_drop(none, none, 2.5, prompt[:0]).item() == 0


def test_confidence_drop_asks_for_higher_odds():
    """From 1 : 3 with twice the odds to 2 : 3, of one clip alone."""
    same = torch.zeros(2, 4)
    prompt, odds = torch.tensor([0, 3]), torch.tensor([2.0, 1.0])
    given = objective.confidence_drop(same, same, 10.0, prompt, odds).item()
    assert given == pytest.approx(math.log((2 / 5) / (1 / 4)) / 2, abs=1e-6)


def test_more_of_the_same_bins_changes_no_term():
    """A grid four times as fine, with the same sound on it."""
    masks, energies = torch.rand(2, 3, 4, 5), torch.rand(2, 4, 5)
    text = torch.nn.functional.normalize(torch.randn(2, 3, 6), dim=-1)

    def finer(x):
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)

    torch.testing.assert_close(
        objective.mask_mean(finer(masks)), objective.mask_mean(masks)
    )
    torch.testing.assert_close(
        objective.prompt_diversity(finer(masks), finer(energies), text),
        objective.prompt_diversity(masks, energies, text),
    )
    three = torch.rand(3, 2, 4, 5)
    torch.testing.assert_close(
        objective.loudness_matching(*map(finer, three)),
        objective.loudness_matching(*three),
    )
