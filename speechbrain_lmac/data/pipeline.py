"""From manifests to batches: clips of equal length and their captions."""

import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from torch.nn.functional import pad
from torchaudio.functional import resample

from speechbrain_lmac import audio
from speechbrain_lmac.data.manifests import COLUMNS, read_manifest


class ClipReader:
    """Reads a clip at the classifier's rate, cut or filled up to a fixed length.

    Arguments
    ---------
    sample_rate : int
        In Hz.
    seconds : float
        Length of what is returned.
    random : bool
        Training: a random part of a longer clip, and a circular shift of a shorter
        one. Otherwise the beginning.
    keep : bool
        Keep decoded clips in memory (float16: 2 bytes a sample; float32 for a clip that
        is too loud for it), so that each file is read once.
    speeds : sequence of float
        With ``random``, each clip is played at one of these speeds, as a tape would be;
        a tenth is the finest step.
    repeat : bool
        What a shorter clip is filled up with: itself, as often as it fits, and then
        silence, for a classifier that fills its window so (``repeats_short_clips``);
        otherwise silence alone.
    """

    def __init__(
        self,
        sample_rate,
        seconds,
        random=False,
        keep=True,
        speeds=(1.0,),
        repeat=False,
    ):
        self.sample_rate, self.random, self.speeds = sample_rate, random, speeds
        self.samples, self.repeat = round(seconds * sample_rate), repeat
        self.kept = {} if keep else None

    def _read(self, path):
        if self.kept is None:
            return audio.read(path, self.sample_rate)
        if path not in self.kept:
            waveform = audio.read(path, self.sample_rate)
            # float16 ends at 65504: integers that were stored as they are in a file of
            # floats would become infinite, and the loss NaN
            fits = audio.peak(waveform) <= torch.finfo(torch.float16).max
            self.kept[path] = waveform.half() if fits else waveform
        return self.kept[path].to(torch.float32, copy=True)  # never what is kept

    def __call__(self, path):
        """A path to a waveform [samples]."""
        waveform = self._read(path)
        if self.random:
            speed = self.speeds[int(torch.randint(len(self.speeds), ()))]
            waveform = resample(waveform, round(10 * speed), 10)
        spare = len(waveform) - self.samples
        if spare > 0:
            start = int(torch.randint(spare + 1, ())) if self.random else 0
            return waveform[start : start + self.samples]
        if self.repeat:
            # turned before it is repeated: its end meets its beginning in any case, and
            # the silence stays last, where the classifier puts it
            waveform = self._turned(waveform)
            waveform = waveform.repeat(self.samples // len(waveform))
            return pad(waveform, (0, self.samples - len(waveform)))
        return self._turned(pad(waveform, (0, -spare)))

    def _turned(self, waveform):
        """In training, begun anywhere and gone around."""
        if not self.random:
            return waveform
        return waveform.roll(int(torch.randint(len(waveform), ())))


def clip_dataset(manifest, reader, data_root=None):
    """The dataset of a manifest; missing files are counted and left out.

    Arguments
    ---------
    manifest : str or Path
        A CSV file with the columns of ``speechbrain_lmac.data.manifests``.
    reader : ClipReader
        Reads the clips.
    data_root : str or Path
        What ``$data_root`` in the manifest stands for.

    Returns
    -------
    DynamicItemDataset
        Items ``id``, ``sig`` [samples] and ``captions``, the manifest's cell.
        ManifestError for a manifest that cannot be used.
    """
    rows = read_manifest(manifest, data_root)
    # not by DynamicItemDataset.from_csv, which reads $5 in a caption as a placeholder
    dataset = DynamicItemDataset(rows[COLUMNS].set_index("ID").to_dict("index"))
    dataset.add_dynamic_item(reader, takes="wav", provides="sig")
    dataset.add_dynamic_item(lambda cell: cell, takes="caption", provides="captions")
    dataset.set_output_keys(["id", "sig", "captions"])
    return dataset


def caption_cells(dataset):
    """The distinct caption cells of a dataset, sorted.

    Arguments
    ---------
    dataset : DynamicItemDataset
        From :func:`clip_dataset`.

    Returns
    -------
    list of str
    """
    return sorted({dataset.data[i]["caption"] for i in dataset.data_ids})


def has_classes(dataset):
    """Whether each clip of a dataset has a label: its caption then names a class.

    Arguments
    ---------
    dataset : DynamicItemDataset
        From :func:`clip_dataset`.

    Returns
    -------
    bool
    """
    return all(dataset.data[i]["label"] for i in dataset.data_ids)
