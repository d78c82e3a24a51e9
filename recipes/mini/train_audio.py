"""The audio tower of ``mini``, and the text tower's last projection."""

import copy
import logging
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from phrases import PhraseBank
from scenes import augment
from sentences import audioset_names
from tqdm import tqdm

logger = logging.getLogger(__name__)


def soft_cross_entropy(logits, target, weight):
    """Mean cross entropy with soft targets over the rows that count."""
    loss = -(target * F.log_softmax(logits, 1)).sum(1)
    return (loss * weight).sum() / weight.sum().clamp(min=1)


class AudioTraining(nn.Module):
    """The audio tower with all that only its training needs.

    Arguments
    ---------
    classifier : MiniCLAP
        Its text tower's sentence embedding is trained already and stays frozen.
    names : list of str
        Classes; the last is silence.
    labels : torch.Tensor
        Class of each recording.
    data : dict
        ``waves, scenes, scores, embeddings`` (see clips.py) and ``sentences, targets``
        (see sentences.py) of the language model.
    hparams : dict
        As clap_mini.yaml has them.
    """

    def __init__(self, classifier, names, labels, data, hparams):
        super().__init__()
        self.audio, self.project = classifier.audio, classifier.text.project
        self.stft, self.to_mel = classifier.stft, classifier.to_mel
        self.names, self.labels, self.h, self.data = names, labels, hparams, data
        self.bank = PhraseBank(names, classifier.text, hparams["seed"])
        tags = [n.split(",")[0] for n in audioset_names(hparams["data_folder"])]
        self.audioset = self.bank.embed([f"the sound of {tag}" for tag in tags])
        embeddings = data["embeddings"].float().log1p()
        self.mean, self.std = embeddings.mean(0), embeddings.std(0).clamp(min=0.05)
        self.regress = nn.Linear(2 * hparams["channels"][-1], len(self.mean))
        self.scale = nn.Parameter(torch.tensor(math.log(14.0)))
        self.tag_scale = nn.Parameter(torch.tensor(math.log(14.0)))

    def text(self, sentences):
        """Sentence embeddings [P, 384] to the shared space [P, D]."""
        return F.normalize(self.project(sentences), dim=-1)

    def targets(self, rows, alone, silent):
        """Class shares of scenes [B, C], and their classes (second is -1 if single)."""
        scene = self.data["scenes"][rows.numpy()]
        first = self.labels[torch.from_numpy(scene[:, 0]).long()]
        second = torch.from_numpy(scene[:, 3]).long()
        second = torch.where(second >= 0, self.labels[second.clamp(min=0)], -1)
        second = torch.where(alone | (second == first), -1, second)
        first = torch.where(silent, len(self.names) - 1, first)
        second = torch.where(silent, -1, second)
        share = torch.sigmoid(torch.from_numpy(scene[:, 6]).float() * math.log(10) / 20)
        share = torch.where(second < 0, 1.0, share)
        target = torch.zeros(len(rows), len(self.names))
        target.scatter_add_(1, first[:, None], share[:, None])
        target.scatter_add_(1, second.clamp(min=0)[:, None], (1 - share)[:, None])
        smooth = self.h["label_smoothing"]
        return (1 - smooth) * target + smooth / len(self.names), first, second

    def losses(self, rows, sources):
        """Every term for scenes ``rows`` with their sources [B, 2, N]."""
        h, data = self.h, self.data
        paired = torch.from_numpy(data["scenes"][rows.numpy(), 3] >= 0)
        with torch.no_grad():
            magnitude, alone, silent, foreign = augment(self.stft, sources, paired, h)
            mel = self.to_mel(magnitude)
        target, first, second = self.targets(rows, alone, silent)
        with torch.autocast("cpu", torch.bfloat16):
            maps = self.audio.maps(mel)
        pooled = self.audio.pool(maps[-1])
        audio = F.normalize(self.audio.project(self.audio.dropout(pooled)), dim=-1)
        scale, tag_scale = (
            s.exp().clamp(max=100) for s in (self.scale, self.tag_scale)
        )

        everything = torch.ones(len(rows))
        classes = self.text(self.bank.classes())
        class_loss = soft_cross_entropy(scale * audio @ classes.T, target, everything)

        captions = self.text(self.bank.captions(first.tolist(), second.tolist()))
        scene = torch.stack([first, second], 1).sort(1).values
        same = (scene[:, None] == scene[None]).all(-1).float()
        same = same / same.sum(1, keepdim=True)
        logits = scale * audio @ captions.T
        caption_loss = 0.5 * (
            soft_cross_entropy(logits, same, everything)
            + soft_cross_entropy(logits.T, same, everything)
        )

        heard = (~foreign).float()
        scores = data["scores"][rows].float()
        tags = scores / scores.sum(1, keepdim=True).clamp(min=1e-3)
        tag_logits = tag_scale * audio @ self.text(self.audioset).T
        audioset_loss = soft_cross_entropy(tag_logits, tags, heard)

        teacher = (data["embeddings"][rows].float().log1p() - self.mean) / self.std
        distance = F.smooth_l1_loss(
            self.regress(pooled), teacher.clamp(-4, 4), reduction="none"
        )
        embedding_loss = (distance.mean(1) * heard).sum() / heard.sum().clamp(min=1)

        some = torch.randint(len(data["targets"]), (256,))
        known = data["targets"][some].float()
        mine = self.text(known)
        relation_loss = (mine @ mine.T - known @ known.T).square().mean()
        return {
            "class": class_loss,
            "caption": caption_loss,
            "audioset": audioset_loss,
            "embedding": embedding_loss,
            "relation": relation_loss,
        }


def train_audio_tower(
    classifier, names, labels, data, draw_sources, hparams, checkpoint
):
    """Train, and leave the moving average of the weights in the classifier.

    Arguments
    ---------
    classifier : MiniCLAP
        Changed in place.
    names : list of str
        Classes; the last is silence.
    labels : torch.Tensor
        Class of each recording.
    data : dict
        See :class:`AudioTraining`.
    draw_sources : callable
        Scene numbers to sources [B, 2, N].
    hparams : dict
        As clap_mini.yaml has them.
    checkpoint : Path
        Written every 1000 steps; a killed training goes on from there.
    """
    training = AudioTraining(classifier, names, labels, data, hparams)
    training.audio.to(memory_format=torch.channels_last).requires_grad_(True).train()
    training.project.requires_grad_(True)
    trained = nn.ModuleList([training.audio, training.project])
    average = copy.deepcopy(trained)
    slow = [*training.project.parameters()]
    fast = [
        p
        for n, p in training.named_parameters()
        if not n.startswith("project.") and p.requires_grad
    ]
    rate, steps = hparams["audio_lr"], hparams["audio_steps"]
    text_rate = rate * hparams["text_lr_factor"]
    optimizer = torch.optim.AdamW(
        [
            {"params": fast, "lr": rate},
            {"params": slow, "lr": text_rate, "weight_decay": 0.0},
        ],
        weight_decay=hparams["weight_decay"],
    )

    def warm_up_and_cosine(step):
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(1, step / steps))
        return min(1, (step + 1) / 200) * cosine

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warm_up_and_cosine)
    start = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        training.load_state_dict(state["training"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        start = state["step"]
    torch.manual_seed(hparams["seed"] + start)
    bar = tqdm(range(start, steps), "audio tower", mininterval=10)
    for step in bar:
        rows = torch.randint(len(data["scenes"]), (hparams["audio_batch"],))
        losses = training.losses(rows, draw_sources(rows))
        loss = sum(hparams["loss_weights"][k] * v for k, v in losses.items())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(training.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        decay = min(hparams["ema_decay"], (step + 1) / (step + 10))
        now = trained.state_dict()
        for key, value in average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(now[key], 1 - decay)
            else:
                value.copy_(now[key])
        if step % 100 == 99:
            line = " ".join(f"{k} {v.item():.3f}" for k, v in losses.items())
            logger.info("step %d %s scale %.1f", step + 1, line, training.scale.exp())
        if step % 1000 == 999:
            state = {
                "training": training.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "step": step + 1,
            }
            torch.save(state, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
    trained.load_state_dict(average.state_dict())
    classifier.temperature = training.scale.exp().clamp(max=100).item()
    classifier.freeze()
