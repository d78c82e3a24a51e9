"""What the embedded default promises."""

import pytest
import torch

from speechbrain_lmac.classifiers.mini import Mini
from speechbrain_lmac.data import esc50, synth
from speechbrain_lmac.explainers.base import hear
from speechbrain_lmac.interpreter import LMACZSInterpreter


@pytest.fixture(scope="module")
def mini():
    return Mini()


@pytest.fixture(scope="module")
def classes(mini):
    return mini.embed_text(mini.prompts(esc50.CLASSES))


def embed(mini, waveform):
    return hear(mini, mini.stft(waveform[None]).abs()).encoding.embedding[0]


SAME = [
    ["a dog barking", "barking dog", "puppy", "A DOG BARKS"],
    ["rain", "it is raining heavily", "raindrops on a roof"],
    ["police siren", "an ambulance with its siren on", "emergency vehicle siren"],
    ["church bells", "a bell tolling in a tower"],
    ["a helicopter flies over", "chopper", "helicopter rotor"],
]


@pytest.mark.parametrize("prompts", SAME, ids=lambda p: p[0])
def test_prompts_of_one_meaning_find_the_same_class(mini, classes, prompts):
    nearest = (mini.embed_text(prompts) @ classes.T).argmax(1)
    assert len(set(nearest.tolist())) == 1


# None of these stands in a sentence that the text tower learned from.
UNSEEN = {
    "dog": "doggies woofing",
    "cat": "kittycat meowed",
    "helicopter": "choppers rotorcraft",
    "thunderstorm": "thunderclaps thundercloud windstorms",
    "siren": "ambulances",
    "pig": "oinked",
    "cow": "mooed",
    "rain": "rainshower raindropping downpours",
    "chirping birds": "birdcall birdcalls birdsongs",
    "church bells": "churchbell belltower",
    "wind": "windiest",
    "crickets": "crickety",
    "frog": "croakings",
    "clapping": "handclaps",
    "brushing teeth": "toothbrushes",
    "vacuum cleaner": "vacuumer",
    "airplane": "airplane's jetliner",
}


def test_unseen_words_are_near_what_they_mean(mini, classes):
    """Four in five are nearest to their class among the 50."""
    pairs = [(word, name) for name, words in UNSEEN.items() for word in words.split()]
    nearest = (mini.embed_text([word for word, _ in pairs]) @ classes.T).argmax(1)
    right = [
        esc50.CLASSES[n] == name for n, (_, name) in zip(nearest, pairs, strict=True)
    ]
    assert sum(right) >= 0.8 * len(right)


def test_gibberish_has_a_finite_unit_vector(mini):
    vectors = mini.embed_text(["qzxv wkjh", "日本語", "!", "a" * 5000])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(4))


@pytest.mark.parametrize("name", sorted(synth.SOUNDS))
def test_synthesised_sounds_get_their_names(mini, classes, name):
    """Of five clips of each sound at least four are named among ESC-50's 50 classes."""
    clips = torch.stack([synth.synthesise(name, seed) for seed in range(5)])
    heard = hear(mini, mini.stft(clips).abs()).encoding.embedding
    named = (heard @ classes.T).argmax(1)
    assert (named == esc50.CLASSES.index(name)).sum() >= 4


def test_silence_is_silence(mini):
    """Digital silence, and a sound far below the floor, are called silence."""
    text = mini.embed_text(mini.prompts([*esc50.CLASSES, "silence"]))
    faint = synth.synthesise("siren", 0) * 1e-6
    for waveform in (torch.zeros(80000), faint):
        assert (embed(mini, waveform) @ text.T).argmax() == len(esc50.CLASSES)


def test_the_shipped_decoder_follows_the_prompt():
    """Of a mixture it keeps, for either prompt, mostly what the prompt names."""
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

    interpreter = LMACZSInterpreter.from_hparams("mini")
    names = ("siren", "helicopter")
    first, second = (synth.synthesise(name, 2) for name in names)
    mixture = synth.mix(first, second, 0.0)
    prompts = ["a siren", "a helicopter flying", "a dog barking"]
    (explanation,) = interpreter.interpret_batch(0.3 * mixture[None], prompts)
    sources = torch.stack([first, mixture - first])
    ratio = scale_invariant_signal_distortion_ratio
    before = ratio(mixture.expand_as(sources), sources)
    assert (ratio(explanation.waveform[:2], sources) > before + 1).all()
    kept = explanation.energy_kept
    assert kept[2] < 0.25 * kept[:2].min()
