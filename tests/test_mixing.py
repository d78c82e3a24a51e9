"""Both objectives against literal loops over clips, prompts and bins."""

import math
from dataclasses import replace

import pytest
import torch

from speechbrain_lmac import checkpoint
from speechbrain_lmac.classifiers.base import AudioEncoding
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.explainers.base import Scene
from speechbrain_lmac.masking import Masking
from speechbrain_lmac.mixing import SceneObjective
from speechbrain_lmac.pairing import PaperObjective
from speechbrain_lmac.testing import random_classifier

SENTENCES = ["a dog barking", "rain", "wind", "a church bell", "a clock", "snoring"]
CLIPS, SAMPLES = 4, 4000
WEIGHTS = {
    "match": 3.0,
    "bank": 5.0,
    "confidence": (0.2, 0.7),  # two numbers move, one stays
    "l1": (0.0, 1.1),
    "l1_foreign": 1.7,
    "removal": 0.9,
    "loudness": 1.3,
    "alike": 1.1,  # no two sentences: those of a random classifier are all alike
}


@pytest.fixture(scope="module")
def classifier():
    return random_classifier()


@pytest.fixture(scope="module")
def bank(classifier):
    return classifier.embed_text(SENTENCES)


@pytest.fixture
def waves():
    return 0.2 * torch.randn(CLIPS, SAMPLES)


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


def random_masks(pairs):
    shape = (len(pairs.scene.energies), pairs.text.shape[1])
    return torch.rand(*shape, *pairs.scene.energies.shape[1:], requires_grad=True)


def close(given, wanted):
    assert given.keys() == wanted.keys()
    for name, value in given.items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-4, atol=1e-6, msg=name)


# ---- Eq. 6 ----


def slow_paper(classifier, masking, domain, waves, bank, prompt, masks, weights):
    """Eq. 6 with means, in loops over clips j and the prompts i of the batch."""
    match, size, apart = [], [], []
    asked = sorted(set(prompt.tolist()))
    for j, wave in enumerate(waves):
        x = classifier.stft(wave).abs()
        if domain == "mel":
            x = classifier.to_mel(x[None])[0]
        for k, i in enumerate(asked):
            wanted = dot(bank[i], heard(classifier, x, domain))
            kept = masking.keep(masks[j, k], x)
            match.append((wanted - dot(bank[i], heard(classifier, kept, domain))).abs())
            size.append(mean(masks[j, k].reshape(-1)))
            for other, o in enumerate(asked):
                if o != i:
                    a, b = (masks[j, m] * x for m in (k, other))
                    cosine = (a * b).sum() / (a.norm() * b.norm())
                    apart.append((cosine - dot(bank[i], bank[o])).abs())
    terms = {"match": mean(match), "sparsity": mean(size), "diversity": mean(apart)}
    return {name: weights[name] * value for name, value in terms.items()}


@pytest.mark.parametrize("law", ["log", "linear"])
def test_paper_objective(classifier, bank, waves, domain, law):
    masking = Masking.for_classifier(classifier, domain, law)
    paper = PaperObjective(classifier, {domain: masking}, 1.5, 0.2, 0.3)
    prompt = torch.tensor([4, 1, 4, 0])  # two clips share a caption: one prompt
    pairs = paper.prepare(waves, bank, prompt)
    masks = random_masks(pairs)
    assert masks.shape[:2] == (CLIPS, 3)
    torch.testing.assert_close(pairs.text, bank[[0, 1, 4]].expand(CLIPS, -1, -1))
    weights = {"match": 1.5, "sparsity": 0.2, "diversity": 0.3}
    wanted = slow_paper(
        classifier, masking, domain, waves, bank, prompt, masks, weights
    )
    close(paper.terms(pairs, masks), wanted)


def test_paper_objective_of_identity_is_its_sparsity(classifier, bank, waves):
    paper = PaperObjective(classifier, Masking.for_domains(classifier), l1=0.25)
    pairs = paper.prepare(waves, bank, torch.arange(CLIPS))
    terms = paper.terms(
        pairs, torch.ones(CLIPS, CLIPS, *pairs.scene.energies.shape[1:])
    )
    assert terms.keys() == {"match", "sparsity"}  # no weight, no diversity
    assert terms["sparsity"].item() == 0.25
    assert terms["match"].item() == pytest.approx(0, abs=1e-5)


# ---- mixtures ----


def make_scene_objective(classifier, domain="stft", **settings):
    maskings = Masking.for_domains(classifier, domains=[domain])
    return SceneObjective(classifier, maskings, **{**WEIGHTS, **settings})


def both_kinds(scenes, waves, bank):
    """Pairs with mixtures and single clips."""
    for _ in range(100):
        pairs = scenes.prepare(waves, bank, torch.arange(CLIPS))
        if 0 < pairs.mixed.sum() < CLIPS:
            return pairs
    raise AssertionError("mixtures and single clips never came together")


def slow_scenes(scenes, pairs, masks, ramp):
    """The terms in loops over clips and their two prompts."""
    classifier, domain = scenes.classifier, pairs.scene.domain
    masking = scenes.maskings[domain]
    bank, temperature = pairs.bank, classifier.temperature
    match, share, size, foreign = [], [], [], []
    every, confidence, loudness = [], [], []
    other_source, nothing = [], []
    order = [i for i in range(len(masks)) if pairs.mixed[i]]
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
            if not own:
                continue
            every += [(t - s).abs() for t, s in zip(target, similarity, strict=True)]
            log = []
            for row in (target, similarity):
                powers = [(temperature * s).exp() for s in row]
                log.append((powers[at] / sum(powers)).log())
            confidence.append((log[0] - log[1]).clamp(min=0))
            left = heard(classifier, masking.remove(masks[i, k], x), domain)
            similarity = [dot(left, sentence) for sentence in bank]
            wanted = pairs.rest[i, k]
            if pairs.mixed[i]:
                other_source += [
                    (w - s).abs() for w, s in zip(wanted, similarity, strict=True)
                ]
                source = pairs.sources[order.index(i), k]
                parts = [kept, source, x]
                if domain == "mel":  # energies
                    parts = [(e + masking.floor).sqrt() for e in parts]
                loudness.append((parts[0] - parts[1]).abs().sum() / parts[2].sum())
            else:
                nothing.append((similarity[at] - wanted[at]).clamp(min=0))
    return {
        "match": WEIGHTS["match"] * sum(match) / sum(share),
        "sparsity": ramp * 1.1 * mean(size),
        "foreign": WEIGHTS["l1_foreign"] * mean(foreign),
        "bank": WEIGHTS["bank"] * mean(every),
        "confidence": (0.2 + 0.5 * ramp) * mean(confidence),
        "removal": WEIGHTS["removal"] * (2 * mean(other_source) + mean(nothing)),
        "loudness": WEIGHTS["loudness"] * mean(loudness),
    }


def test_scene_objective(classifier, bank, waves, domain):
    scenes = make_scene_objective(classifier, domain)
    pairs = both_kinds(scenes, waves, bank)
    masks = random_masks(pairs)
    close(scenes.terms(pairs, masks, 0.6), slow_scenes(scenes, pairs, masks, 0.6))


def test_scene_objective_of_single_clips(classifier, bank, waves):
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


@pytest.mark.parametrize("hard_share", [0.0, 1.0])
def test_foreign_prompts(classifier, bank, waves, hard_share):
    scenes = make_scene_objective(classifier, mix_share=0.0, hard_share=hard_share)
    prompt, seen = torch.arange(CLIPS), set()
    for _ in range(40):
        pairs = scenes.prepare(waves, bank, prompt)
        similarity = pairs.target[:, 0]
        assert torch.equal(pairs.prompt[:, 0], similarity.argmax(1))
        foreign = pairs.prompt[:, 1]
        assert (foreign != pairs.prompt[:, 0]).all() and (foreign != prompt).all()
        seen.add(tuple(foreign.tolist()))
    rows = torch.arange(CLIPS)
    absent = similarity.clone()
    absent[rows, similarity.argmax(1)] = absent[rows, prompt] = -2
    if hard_share:
        assert seen == {tuple(absent.argmax(1).tolist())}
    else:  # every other sentence
        others = (absent[0] > -2).nonzero().squeeze(1).tolist()
        assert {row[0] for row in seen} == set(others)


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
        scenes = make_scene_objective(
            classifier, mix_share=0.0, hard_share=hard_share, alike=0.85
        )
        for _ in range(10):
            asked = scenes.prepare(waves, bank, prompt).prompt
            assert not (asked[:, 1] < 2).any()


def test_a_silent_batch_has_a_loss(classifier, bank):
    scenes = make_scene_objective(classifier, mix_share=1.0)
    pairs = scenes.prepare(torch.zeros(3, SAMPLES), bank, torch.arange(3))
    masks = random_masks(pairs)
    loss = sum(scenes.terms(pairs, masks).values())
    loss.backward()
    assert loss.isfinite() and masks.grad.isfinite().all()


# ---- what a weight means, and where the gradient goes ----


def twice(pairs):
    """The same clips again in one batch."""

    def double(x):
        return torch.cat([x, x])

    scene, encoding = pairs.scene, pairs.scene.encoding
    maps = tuple(map(double, encoding.maps))
    names = "text", "prompt", "target", "rest", "own", "mixed", "sources"
    names = *names, "spectrum", "played"
    again = {
        name: double(getattr(pairs, name))
        for name in names
        if getattr(pairs, name) is not None
    }
    scene = Scene(
        double(scene.energies),
        double(scene.mel),
        AudioEncoding(double(encoding.embedding), maps),
        scene.domain,
    )
    return replace(pairs, scene=scene, **again)


@pytest.mark.parametrize("kind", ["paper", "default"])
def test_a_batch_twice_as_large_has_the_same_loss(classifier, bank, waves, kind):
    if kind == "paper":
        maskings = Masking.for_domains(classifier)
        loss = PaperObjective(classifier, maskings, diversity=0.1)
        pairs = loss.prepare(waves, bank, torch.arange(CLIPS))
    else:
        loss = make_scene_objective(classifier)
        pairs = both_kinds(loss, waves, bank)
    masks = random_masks(pairs)
    close(loss.terms(twice(pairs), torch.cat([masks, masks])), loss.terms(pairs, masks))


@pytest.mark.parametrize("kind", ["paper", "default"])
def test_gradient_reaches_the_decoder_alone(bank, waves, kind):
    classifier = random_classifier()
    before = checkpoint.fingerprint(classifier)
    decoder = MaskDecoder(classifier, width=16, fine_width=8)
    if kind == "paper":
        maskings = Masking.for_domains(classifier)
        loss = PaperObjective(classifier, maskings, l1=0.0)
        pairs = loss.prepare(waves, bank, torch.arange(CLIPS))
    else:
        # without the terms that a mask alone decides
        loss = make_scene_objective(classifier, l1=0.0, l1_foreign=0.0, loudness=0.0)
        pairs = both_kinds(loss, waves, bank)
    scene = pairs.scene
    masks = decoder(scene.encoding, scene.mel, pairs.text, scene.domain)
    optimizer = torch.optim.SGD(decoder.parameters(), 0.1)
    sum(loss.terms(pairs, masks).values()).backward()
    # all but what lies before the last layer of `detail`, which starts at zero
    waiting = {"detail.0.weight", "detail.0.bias"}
    without = {
        name
        for name, parameter in decoder.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    assert without <= waiting
    optimizer.step()
    assert all(parameter.grad is None for parameter in classifier.parameters())
    assert checkpoint.fingerprint(classifier) == before
