"""What tests of several files start from: data sets, an evaluation, a recipe."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from speechbrain_lmac import audio, checkpoint
from speechbrain_lmac.brain import LMACZSBrain
from speechbrain_lmac.classifiers.mini import Mini, MiniCLAP
from speechbrain_lmac.data import clotho, synth
from speechbrain_lmac.decoder import MaskDecoder
from speechbrain_lmac.testing import random_classifier, random_interpreter

ROOT = Path(__file__).resolve().parents[1]


# ---- data sets in their publishers' layouts ----


@pytest.fixture
def esc(tmp_path):
    """Two folds of ESC-50 with a clip each, and one clip that is missing."""
    folder = tmp_path / "ESC-50"
    audio.write(folder / "audio" / "1-100-A-20.wav", torch.zeros(4410), 44100)
    audio.write(folder / "audio" / "2-200-A-0.wav", torch.zeros(4410), 44100)
    (folder / "meta").mkdir()
    (folder / "meta" / "esc50.csv").write_text(
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100-A-20.wav,1,20,crying_baby,True,100,A\n"
        "2-200-A-0.wav,2,0,dog,True,200,A\n"
        "2-201-A-10.wav,2,10,rain,True,201,A\n"
    )
    return folder


@pytest.fixture
def clip():
    """Writes a short silent file."""
    return lambda path: audio.write(path, torch.zeros(800), 8000)


@pytest.fixture
def write_clotho(clip):
    """Clotho with so many clips in its splits, all but the first of each there."""

    def write(folder, places=tuple(clotho.SPLITS), counts=(6, 3, 1)):
        folder.mkdir(exist_ok=True)
        for split, place, count in zip(clotho.SPLITS, places, counts, strict=True):
            lines = [",".join(["file_name", *clotho.CAPTIONS])]
            for i in range(count):
                said = ",".join(f"{split} {i} {c}" for c in "abcde")
                lines.append(f" né {i}.wav,{said}")
                if i or count == 1:
                    clip(folder / place / f" né {i}.wav")
            table = folder / f"clotho_captions_{split}.csv"
            table.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder

    return write


@pytest.fixture
def videos():
    """The five of AudioCaps to train on, from every 30th second of their films."""
    return ["-abcdefghij", "Yabcdefghij", "a_b-c_d-e_f", "AAAAAAAAAAA", "aaaaaaaaaaa"]


@pytest.fixture
def write_audiocaps(clip, videos):
    """AudioCaps: five clips to train on, of which those named are there, and a test."""

    def write(folder, names, tables=""):
        head = "audiocap_id,youtube_id,start_time,caption\n"
        rows = [f"{i},{v},{30 * i},clip {i}\n" for i, v in enumerate(videos)]
        (folder / tables).mkdir(parents=True, exist_ok=True)
        (folder / tables / "train.csv").write_text(head + "".join(rows))
        rows = [f'{70 + i},BBBBBBBBBBB,0,"said, {i} $5 | x"\n' for i in range(5)]
        (folder / tables / "test.csv").write_text(head + "".join(rows))
        for name in names:
            clip(folder / name)
        return folder

    return write


# ---- a training ----


@pytest.fixture
def brains(monkeypatch):
    """Every Brain that is made, after its training."""
    made, init = [], LMACZSBrain.__init__

    def noted(self, *args, **kwargs):
        init(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(LMACZSBrain, "__init__", noted)
    return made


@pytest.fixture(scope="module")
def classifier():
    """One that has learned nothing."""
    return random_classifier()


@pytest.fixture(scope="module")
def bank(classifier):
    """Six sentences to compare with."""
    names = ["a dog barking", "rain", "wind", "a church bell", "a clock", "snoring"]
    return classifier.embed_text(names)


@pytest.fixture
def waves():
    """Four clips."""
    return 0.2 * torch.randn(4, 4000)


@pytest.fixture
def random_masks():
    """Masks of pairs, to be differentiated by."""
    return lambda pairs: torch.rand(
        *pairs.text.shape[:2], *pairs.scene.energies.shape[1:], requires_grad=True
    )


# ---- an evaluation ----


@pytest.fixture(scope="module")
def short_window():
    """The tiny classifier hears short clips, which saves most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MiniCLAP, "window_seconds", 0.4)
        yield 0.4


@pytest.fixture(scope="session")
def tell_apart():
    """Has a random classifier predict different classes for waveforms [N].

    What it hears in any of them is much the same: their mean is taken off.
    """

    @torch.no_grad()
    def centre(classifier, waves):
        maps = classifier.encode(classifier.stft(torch.stack(waves)).abs()).maps
        mean = classifier.audio.pool(maps[-1]).mean(0)
        project = classifier.audio.project
        project.bias.copy_(-project.weight @ mean)

    return centre


@pytest.fixture(scope="module")
def evaluated(short_window, tell_apart, tmp_path_factory):
    """An exported interpreter, ESC-50's layout with four clips, and speech."""
    folder, rate = tmp_path_factory.mktemp("evaluated"), 16000
    table, sounds = ["filename,fold,category"], []
    for clip in ("1-wind", "2-rain", "3-rain", "4-silent"):
        name = {"4-silent": "siren"}.get(clip, clip[2:])
        sound = synth.synthesise(name, len(table), short_window, rate)
        sound = 0 * sound if clip == "4-silent" else sound
        audio.write(folder / "ESC-50" / "audio" / f"{clip}.wav", sound, rate)
        table.append(f"{clip}.wav,1,{name}")
        sounds.append(sound)
    (folder / "ESC-50" / "meta").mkdir()
    (folder / "ESC-50" / "meta" / "esc50.csv").write_text("\n".join(table) + "\n")
    learned_nothing = random_classifier()
    tell_apart(learned_nothing, sounds)
    checkpoint.save_mini(learned_nothing, folder / "mini")
    classifier = Mini(folder / "mini")
    torch.manual_seed(3)
    sizes = {"width": 16, "fine_width": 8, "domains": ["stft", "mel"]}
    decoder = MaskDecoder(classifier, **sizes)
    settings = {"masking_law": "log", "mask_floor_db": -68.0}
    checkpoint.export(folder / "export", decoder, classifier, settings)
    audio.write(folder / "speech" / "one.wav", 0.1 * torch.randn(rate), rate)
    return folder


@pytest.fixture(scope="module")
def command_line(evaluated):
    """The command line of a small evaluation of those clips."""

    def build(output, **overrides):
        given = {
            "data_folder": evaluated / "ESC-50",
            "interpreter": evaluated / "export",
            "output_folder": output,
            "folds": [1],
            "methods": ["lmac_zs", "gradcam", "control_ones", "control_other"],
            "conditions": ["in_domain"],
            "domains": ["stft"],
            "curve_fractions": [0.1, 0.5],
            "bootstrap_samples": 50,
            **overrides,
        }
        options = [f"--{key}={value}" for key, value in given.items()]
        return [str(ROOT / "hparams" / "evaluate.yaml"), *options]

    return build


# ---- the recipe of the embedded classifier ----


@pytest.fixture(scope="module")
def recipe():
    """Its scripts, which import each other by their bare names."""
    names = "teachers sentences phrases scenes clips train_text average".split()
    modules = {}
    try:
        for name in names:
            path = ROOT / "recipes" / "mini" / f"{name}.py"
            spec = importlib.util.spec_from_file_location(name, path)
            modules[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(modules[name])
        yield lambda name: modules[name]
    finally:
        for name in names:
            sys.modules.pop(name, None)


@pytest.fixture
def model():
    """An interpreter with random weights whose masks differ from bin to bin."""
    return random_interpreter()


@pytest.fixture
def load_benchmark(monkeypatch):
    """Loads a script of benchmarks/ as a module, by its name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")

    def load(name):
        file = ROOT / "benchmarks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
