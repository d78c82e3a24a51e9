"""Mixtures, against literal loops over clips and prompts."""

import math

import pytest
import torch

from speechbrain_lmac.explainers.base import hear
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.mixing import SceneObjective
from speechbrain_lmac.questions import Questions

CLIPS = 4
WEIGHTS = {
    "match": 3.0,
    "bank": 5.0,
    "confidence": (0.2, 0.7),  # two numbers move, one stays
    "odds": 1.8,
    "l1": (0.0, 1.1),
    "noise_l1": 0.6,
    "l1_foreign": 1.7,
    "removal": 0.9,
    "loudness": 1.3,
    "order": 0.8,
    "alike": 1.1,  # no two sentences: those of a random classifier are all alike
}


@pytest.fixture(params=["stft", "mel"])
def domain(request):
    return request.param


def heard(classifier, energies, domain):
    """The embedding of one spectrogram [F, T]."""
    return classifier.encode(energies.unsqueeze(0), domain).embedding[0]


def dot(a, b):
    return sum((x * y for x, y in zip(a, b, strict=True)), torch.tensor(0.0))


def mean(values):
    values = list(values)
    return sum(values, torch.tensor(0.0)) / len(values)


def close(given, wanted):
    assert given.keys() == wanted.keys()
    for name, value in given.items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-4, atol=1e-6, msg=name)


def make_scene_objective(classifier, domain="stft", questions=None, **settings):
    maskings = Masking.for_domains(classifier, domains=[domain])
    questions = Questions(**questions or {})
    return SceneObjective(classifier, maskings, questions, **{**WEIGHTS, **settings})


def all_kinds(scenes, waves, bank):
    """Pairs of a mixture and of a single clip, each heard as masked and as played.

    One of the clips is in noise, and one is not.
    """
    for _ in range(1000):
        pairs = scenes.prepare(waves, bank, torch.arange(CLIPS))
        kinds = {*zip(pairs.mixed.tolist(), pairs.played.tolist(), strict=True)}
        if len(kinds) == 4 and pairs.noisy.sum() == 1:
            return pairs
    raise AssertionError("the four never came together")


def slow_scenes(scenes, pairs, masks, ramp):
    """The terms in loops over clips and their two prompts."""
    classifier, domain = scenes.classifier, pairs.scene.domain
    masking = scenes.maskings[domain]
    bank, temperature = pairs.bank, classifier.temperature
    match, share, size, foreign = [], [], [], []
    every, confidence, loudness = [], [], []
    other_source, nothing, rivals = [], [], []
    place = [i for i in range(len(masks)) if pairs.mixed[i]]
    for i in range(len(masks)):
        x = pairs.scene.energies[i]
        for k in range(2):
            own, at = bool(pairs.own[i, k]), int(pairs.prompt[i, k])
            kept = masking.keep(masks[i, k], x)
            if domain == "stft" and pairs.played[i]:
                spectrum = pairs.spectrum[i]
                wave = classifier.stft.playback(kept, spectrum, pairs.samples)
                kept = classifier.stft(wave).abs()
            hearing = heard(classifier, kept, domain)
            similarity = [dot(hearing, sentence) for sentence in bank]
            target = pairs.target[i, k]
            share.append(1.0 if own else 0.5)
            match.append(share[-1] * (target[at] - similarity[at]).abs())
            (size if own else foreign).append(mean(masks[i, k].reshape(-1)))
            if own and pairs.noisy[i]:
                size[-1] = 0.6 * size[-1]
            if not own:
                continue
            every += [(t - s).abs() for t, s in zip(target, similarity, strict=True)]
            likely, offered = [], pairs.offered[i].tolist()
            for row in (target, similarity):
                powers = [(temperature * s).exp() for s in row]
                among = [p for p, o in zip(powers, offered, strict=True) if o]
                likely.append(powers[at] / sum(among))
            odds = likely[0] / (1 - likely[0]) * (1.0 if pairs.mixed[i] else 1.8)
            drop = (odds / (1 + odds) / likely[1]).log()
            confidence.append(drop.clamp(min=0))
            left = heard(classifier, masking.remove(masks[i, k], x), domain)
            similarity = [dot(left, sentence) for sentence in bank]
            wanted = pairs.rest[i, k]
            if pairs.mixed[i]:
                other_source += [
                    (w - s).abs() for w, s in zip(wanted, similarity, strict=True)
                ]
                source = pairs.sources[place.index(i), k]
                parts = [kept, source, x]
                if domain == "mel":  # energies
                    parts = [(e + masking.floor).sqrt() for e in parts]
                loudness.append((parts[0] - parts[1]).abs().sum() / parts[2].sum())
            else:
                nothing.append((similarity[at] - wanted[at]).clamp(min=0))
        own = mean(masks[i, 0].reshape(-1)) + 0.003
        for k in range(2, 2 + scenes.questions.rivals):
            rival = mean(masks[i, k].reshape(-1)) + 0.003
            rivals.append((2 * rival / own).log().clamp(min=0))
    return {
        "match": WEIGHTS["match"] * sum(match) / sum(share),
        "sparsity": ramp * 1.1 * mean(size),
        "foreign": WEIGHTS["l1_foreign"] * mean(foreign),
        "bank": WEIGHTS["bank"] * mean(every),
        "confidence": (0.2 + 0.5 * ramp) * mean(confidence),
        "removal": WEIGHTS["removal"] * (2 * mean(other_source) + mean(nothing)),
        "loudness": WEIGHTS["loudness"] * mean(loudness),
        "order": WEIGHTS["order"] * mean(rivals),
    }


def test_scene_objective(classifier, bank, waves, domain, random_masks):
    scenes = make_scene_objective(classifier, domain, noise_share=0.5)
    pairs = all_kinds(scenes, waves, bank)
    masks = random_masks(pairs)
    close(scenes.terms(pairs, masks, 0.6), slow_scenes(scenes, pairs, masks, 0.6))


def test_scene_objective_of_single_clips(classifier, bank, waves, random_masks):
    scenes = make_scene_objective(classifier, mix_share=0.0)
    pairs = scenes.prepare(waves, bank, torch.arange(CLIPS))
    assert not pairs.mixed.any() and not len(pairs.sources)
    assert pairs.own.tolist() == [[True, False]] * CLIPS
    spectra = classifier.stft(waves).abs()
    torch.testing.assert_close(pairs.scene.energies, spectra)
    embedding = classifier.encode(spectra).embedding
    silence = classifier.encode(torch.zeros_like(spectra[:1])).embedding
    for k in range(2):
        torch.testing.assert_close(pairs.target[:, k], embedding @ bank.T)
        wanted = (silence @ bank.T).expand(CLIPS, -1)
        torch.testing.assert_close(pairs.rest[:, k], wanted)
    terms = scenes.terms(pairs, random_masks(pairs))
    assert terms["loudness"] == 0
    assert all(value.isfinite() for value in terms.values())


def test_mixtures_have_their_sources_as_targets(classifier, bank, waves, domain):
    scenes = make_scene_objective(classifier, domain, mix_share=1.0, mix_db=5.0)
    pairs = scenes.prepare(waves, bank, torch.arange(CLIPS))
    assert pairs.mixed.all() and pairs.own.all()
    level = waves.square().mean(1, keepdim=True).sqrt()
    waves = 0.1 * waves / level
    for i in range(CLIPS):
        first, second = pairs.prompt[i].tolist()
        assert first == i != second
        one, other = classifier.stft(waves[[first, second]])
        # the level of the second, which is drawn, from what it sounds like alone
        hear = classifier.to_mel if domain == "mel" else lambda x: x
        alone = hear(other.abs()[None])[0]
        gain = (pairs.sources[i, 1].sum() / alone.sum()).item()
        gain = gain**0.5 if domain == "mel" else gain
        assert abs(20 * math.log10(gain)) <= 5.001
        for k, spectrum in enumerate((one, gain * other)):
            energies = hear(spectrum.abs()[None])[0]
            torch.testing.assert_close(
                pairs.sources[i, k], energies, rtol=1e-3, atol=1e-4
            )
            wanted = bank @ heard(classifier, energies, domain)
            torch.testing.assert_close(pairs.target[i, k], wanted, rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(pairs.rest[i, 1 - k], pairs.target[i, k])
        mixture = hear((one + gain * other).abs()[None])[0]
        torch.testing.assert_close(
            pairs.scene.energies[i], mixture, rtol=1e-3, atol=1e-4
        )


def test_clips_of_one_caption_are_not_mixed(classifier, bank, waves):
    scenes = make_scene_objective(classifier, mix_share=1.0)
    pairs = scenes.prepare(waves, bank, torch.tensor([2, 2, 2, 2]))
    assert not pairs.mixed.any()
    one = scenes.prepare(waves[:1], bank, torch.tensor([2]))
    assert not one.mixed.any()


@pytest.mark.parametrize(
    ("noise_share", "noise_db"), [(0.0, 15.0), (0.5, 15.0), (1.0, 6.0)]
)
def test_single_clips_in_white_noise(classifier, bank, waves, noise_share, noise_db):
    """Below the clip by up to so much, alike in all frequencies; mixtures have none."""
    scenes = make_scene_objective(
        classifier, mix_share=0.5, noise_share=noise_share, noise_db=noise_db
    )
    clean, prompt = classifier.stft(waves), torch.arange(CLIPS)
    below, heard = [], []
    for _ in range(50):
        pairs = scenes.prepare(waves, bank, prompt)
        scene = hear(classifier, pairs.spectrum.abs(), pairs.scene.domain)
        assert torch.equal(scene.encoding.embedding, pairs.scene.encoding.embedding)
        for i in (~pairs.mixed).nonzero().flatten().tolist():
            noise = (pairs.spectrum[i] - clean[i]).abs().square()
            heard.append(bool(noise.max() > 1e-8))
            assert heard[-1] == pairs.noisy[i]
            if heard[-1]:
                power = clean[i].abs().square().mean() / noise.mean()
                below.append(10 * power.log10().item())
                low, high = noise[1:-1].mean(1).chunk(2)
                assert 0.8 < low.mean() / high.mean() < 1.25
        for i in pairs.mixed.nonzero().flatten().tolist():
            assert not pairs.noisy[i]
            mixture, every = pairs.spectrum[i].reshape(-1, 1), clean.flatten(1).T
            gains = torch.linalg.lstsq(every, mixture).solution
            torch.testing.assert_close(every @ gains, mixture, rtol=1e-3, atol=1e-3)
    if noise_share in (0.0, 1.0):
        assert {*heard} == {bool(noise_share)}
    else:
        assert 0.3 < sum(heard) / len(heard) < 0.7
    if below:
        assert -1 < min(below) < 3 and noise_db - 3 < max(below) < noise_db + 1


def test_sentences_that_name_the_same(classifier, waves):
    """Neither mixed with each other nor foreign to each other."""
    bank = torch.eye(classifier.embedding_dim)[:4]
    bank[1] = 0.9 * bank[0] + 0.19**0.5 * bank[1]  # cosine 0.9
    prompt = torch.tensor([0, 1, 0, 1])
    scenes = make_scene_objective(classifier, mix_share=1.0, alike=0.85)
    assert not scenes.prepare(waves, bank, prompt).mixed.any()
    apart = make_scene_objective(classifier, mix_share=1.0, alike=0.95)
    assert any(apart.prepare(waves, bank, prompt).mixed.any() for _ in range(5))
    for hard_share in (0.0, 1.0):
        questions = {"hard_share": hard_share, "rivals": 1}
        scenes = make_scene_objective(
            classifier, questions=questions, mix_share=0.0, alike=0.85
        )
        for _ in range(10):
            pairs = scenes.prepare(waves, bank, prompt)
            foreign = (pairs.text @ bank.T).argmax(-1)[:, 1:]
            assert not (foreign < 2).any()


def test_rivals_are_for_order_alone(classifier, bank, waves):
    for order, prompts in ((1.0, 5), (0.0, 2)):
        scenes = make_scene_objective(classifier, questions={"rivals": 3}, order=order)
        pairs = scenes.prepare(waves, bank, torch.arange(CLIPS))
        assert pairs.text.shape[1] == prompts
        torch.testing.assert_close(pairs.text[:, :2], bank[pairs.prompt])


def test_a_silent_batch_has_a_loss(classifier, bank, random_masks):
    scenes = make_scene_objective(classifier, mix_share=1.0)
    pairs = scenes.prepare(torch.zeros(3, 4000), bank, torch.arange(3))
    masks = random_masks(pairs)
    loss = sum(scenes.terms(pairs, masks).values())
    loss.backward()
    assert loss.isfinite() and masks.grad.isfinite().all()
