"""The clips that an evaluation hears, of a data set as published."""

from pathlib import Path

import torch

from speechbrain_lmac.data import esc50, urbansound8k
from speechbrain_lmac.data.pipeline import ClipReader
from speechbrain_lmac.errors import AudioInputError, ConfigError

DATASETS = {"ESC-50": esc50, "UrbanSound8K": urbansound8k}


def dataset_module(name):
    """The module of a data set.

    Arguments
    ---------
    name : str
        One of ``DATASETS``.

    Returns
    -------
    module
        With ``prepare``, ``CLASSES`` and ``FOLDS``. ConfigError for another name.
    """
    if name not in DATASETS:
        known = ", ".join(DATASETS)
        raise ConfigError(f"dataset '{name}' is unknown: choose one of {known}")
    return DATASETS[name]


class Clips:
    """Waveforms and labels of a manifest, by clip.

    Arguments
    ---------
    manifest : pandas.DataFrame
        With ``ID``, ``wav`` and ``label``.
    sample_rate : int
        In Hz.
    seconds : float
        Each clip is cut or filled up to this length.
    repeat : bool
        Whether it is filled up with itself, and not with silence.
    unreadable : sequence of str
        What is wrong with further clips, which the manifest leaves out.

    Example
    -------
    >>> import pandas, torch
    >>> from speechbrain_lmac import audio
    >>> file = getfixture("tmp_path") / "a.wav"
    >>> audio.write(file, torch.ones(100), 100)
    >>> rows = [{"ID": "a", "wav": str(file), "label": "dog"}]
    >>> clips = Clips(pandas.DataFrame(rows), sample_rate=100, seconds=2)
    >>> clips.read("a").shape, clips.label("a")
    (torch.Size([200]), 'dog')
    """

    def __init__(self, manifest, sample_rate, seconds, repeat=False, unreadable=()):
        if manifest["ID"].duplicated().any():
            twice = manifest["ID"][manifest["ID"].duplicated()].iloc[0]
            raise ConfigError(f"clip {twice} is listed twice; give each its own name")
        self._rows = manifest.set_index("ID")
        self._reader = ClipReader(sample_rate, seconds, keep=False, repeat=repeat)
        self.sample_rate, self.unreadable = sample_rate, list(unreadable)
        self.ids = list(manifest["ID"])

    def label(self, clip):
        """The class of a clip."""
        return self._rows.at[clip, "label"]

    def read(self, clip):
        """The waveform [N] of a clip; AudioInputError names a file that is damaged."""
        return self._reader(self._rows.at[clip, "wav"])

    def chosen(self, count=None):
        """At most ``count`` clips, taken evenly from the list."""
        every = len(self.ids)
        count = every if count is None else min(count, every)
        return [self.ids[i * every // count] for i in range(count)]

    def audible_of_other_class(self, clip, draw):
        """A drawn clip of another class that can be read and is not silent.

        Arguments
        ---------
        clip : str
            Whose class is left out.
        draw : torch.Generator
            Decides.

        Returns
        -------
        torch.Tensor
            Waveform [N]. ConfigError where no clip is such.
        """
        label = self.label(clip)
        others = [c for c in sorted(self.ids) if self.label(c) != label]
        for i in torch.randperm(len(others), generator=draw).tolist():
            try:
                waveform = self.read(others[i])
            except AudioInputError:  # named and counted when its own turn comes
                continue
            if waveform.any():
                return waveform
        raise ConfigError(
            f"clip {clip}: no clip of another class than '{label}' to mix it with; "
            "take more folds or leave this condition out"
        )


def load_clips(dataset, data_folder, folds, classifier, manifest_file):
    """The clips of folds of a data set.

    Arguments
    ---------
    dataset : str
        One of ``DATASETS``.
    data_folder : str | Path
        As published.
    folds : list of int
        Which to take.
    classifier : ZeroShotClassifier
        Says rate and length.
    manifest_file : str | Path
        The manifest is written there.

    Returns
    -------
    Clips
        ConfigError for an unknown data set or fold; ManifestError for a folder or
        table that cannot be used.
    """
    module = dataset_module(dataset)
    unknown = sorted(set(folds) - set(module.FOLDS))
    if unknown or not folds:
        known = f"{min(module.FOLDS)} to {max(module.FOLDS)}"
        raise ConfigError(f"folds {list(folds)}: {dataset} has folds {known}")
    if data_folder is None:
        raise ConfigError(f"data_folder is not set: give --data_folder DIR/{dataset}")
    unreadable = []
    manifest = module.prepare(Path(data_folder), manifest_file, folds, unreadable)
    foreign = sorted(set(manifest["label"]) - set(module.CLASSES))
    if foreign:
        raise ConfigError(
            f"{data_folder}: class '{foreign[0]}' is none of {dataset}'s; take its "
            "table as published"
        )
    window, repeat = classifier.window_seconds, classifier.repeats_short_clips
    # no clip of either set is longer than 5 s; what repeats short ones hears them so
    seconds = window if repeat else min(5.0, window or 5.0)
    return Clips(manifest, classifier.sample_rate, seconds, repeat, unreadable)
