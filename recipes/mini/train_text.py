"""The text tower of ``mini``: a language model's space in 3 million weights."""

import io
import logging

import sentencepiece
import torch
from tqdm import tqdm

from speechbrain_lmac.classifiers.text import TextTower

logger = logging.getLogger(__name__)


def train_vocabulary(sentences, size):
    """A SentencePiece unigram model of the sentences, serialised."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=size,
        model_type="unigram",
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def train_text_tower(sentences, targets, hparams, log_every=250):
    """Fit the tower's sentence embedding to a teacher's.

    The loss is the cosine distance to the teacher's vector, and the mean squared
    difference between the pairwise similarities of a batch: neighbours stay
    neighbours even where the vector itself is missed.

    Arguments
    ---------
    sentences : list of str
        The corpus.
    targets : torch.Tensor
        Unit vectors of the teacher [P, 384].
    hparams : dict
        ``vocabulary_size, text_width, token_width, text_steps, text_batch, text_lr``
        and ``embedding_dim``.
    log_every : int
        Steps between two lines of the log.

    Returns
    -------
    TextTower
        Trained; its projection to the shared space is the targets' principal axes.
    """
    vocabulary = train_vocabulary(sentences, hparams["vocabulary_size"])
    tower = TextTower(
        vocabulary,
        width=hparams["text_width"],
        token_width=hparams["token_width"],
        embedding_dim=hparams["embedding_dim"],
    )
    order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
    # batches of like length waste no padding; batches come in random order
    ids = [tower.tokenize([sentences[i]])[0] for i in order]
    size, steps = hparams["text_batch"], hparams["text_steps"]
    starts = range(0, len(order) - size + 1, size)
    rate = hparams["text_lr"]
    optimizer = torch.optim.AdamW(tower.parameters(), rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, steps, pct_start=0.05
    )
    draw = torch.Generator().manual_seed(hparams["seed"])
    queue, pad = [], torch.nn.utils.rnn.pad_sequence
    for step in tqdm(range(steps), desc="text tower", mininterval=5):
        if not queue:
            queue = torch.randperm(len(starts), generator=draw).tolist()
        rows = range(starts[s := queue.pop()], starts[s] + size)
        batch = pad([ids[i] for i in rows], batch_first=True)
        target = targets[[order[i] for i in rows]].float()
        with torch.autocast("cpu", torch.bfloat16):
            out = tower.sentence_embedding(batch)
        out = out.float()
        cosine = (out * target).sum(1).mean()
        relation = (out @ out.T - target @ target.T).square().mean()
        loss = 1 - cosine + 5 * relation
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % log_every == 0:
            logged = step, cosine.item(), relation.item()
            logger.info("step %d cosine %.4f relation %.5f", *logged)
    some = targets[:: max(1, len(targets) // 20000)].float()
    _, _, axes = torch.linalg.svd(some, full_matrices=False)
    with torch.no_grad():
        tower.project.weight.copy_(axes[: hparams["embedding_dim"]])
        tower.project.bias.zero_()
    return tower
