"""Training of the decoder: one step, validation, logging."""

import itertools
import logging

import speechbrain as sb
import torch

from speechbrain_lmac import parallel
from speechbrain_lmac.data.seeded import reseed
from speechbrain_lmac.errors import AudioInputError, UserError
from speechbrain_lmac.explainers.base import hear, hear_masked
from speechbrain_lmac.metrics import faithfulness

logger = logging.getLogger(__name__)


class LMACZSBrain(sb.Brain):
    """Trains ``modules.decoder`` against the frozen ``hparams.classifier``.

    The classifier is not one of the modules, so that no optimizer, checkpoint or
    ``train()`` reaches it. The script, which knows the data, sets ``clips`` (of each
    stage a :class:`~speechbrain_lmac.data.seeded.SeededClips`), ``sentences`` (of each
    a :class:`~speechbrain_lmac.data.sentences.SentenceBank`), ``total_steps`` and, for
    TensorBoard, ``board``.

    What a step draws depends on seed, epoch and step, so that a training that was
    stopped goes on as if it had not been; only the averages that are logged for an
    epoch stopped midway are those of the steps after.
    """

    clips = None
    sentences = None
    total_steps = 1
    board = None

    def compute_forward(self, batch, stage):
        """A batch of clips and captions to pairs and their masks [B, K, F, T]."""
        training = stage == sb.Stage.TRAIN
        self._count_unreadable(batch, stage)
        # every validation draws the same pairs
        reseed(self.hparams.seed, self.epoch if training else 0, self.step)
        batch = batch.to(self.device)
        clips = batch.sig.data, batch.captions, slice(None)
        if training:  # every process validates with all of the clips
            clips = parallel.whole_batch(*clips[:2])
        waveforms, captions, rows = clips
        bank, prompt = self.sentences[stage].draw(captions)
        pairs = self.hparams.objective.prepare(waveforms, bank, prompt, rows)
        return pairs, self._masks(pairs.scene, pairs.text)

    def _count_unreadable(self, batch, stage):
        """Names each clip that another one replaces; too many of them end the run."""
        known, clips = self.unreadable[stage], len(self.clips[stage])
        for reason in itertools.chain(*batch.unreadable):
            if reason not in known:
                known.add(reason)
                logger.warning("left out, %d so far: %s", len(known), reason)
        share = self.hparams.max_unreadable
        if len(known) > share * clips:
            raise AudioInputError(
                f"{len(known)} of {clips} clips cannot be read, which is more than "
                f"max_unreadable, {share}; the first: {min(known)}"
            )

    def _masks(self, scene, text):
        return self.modules.decoder(scene.encoding, scene.mel, text, scene.domain)

    def compute_objectives(self, predictions, batch, stage):
        """The sum of the objective's terms; validation adds the metrics."""
        pairs, masks = predictions
        ramp = 1.0
        if stage == sb.Stage.TRAIN:
            # strict weights from the start would close the mask for good
            ramp_steps = self.hparams.ramp * self.total_steps
            ramp = min(1.0, self.optimizer_step / max(1, ramp_steps))
        terms = self.hparams.objective.terms(pairs, masks, ramp)
        loss = sum(terms.values())
        if not loss.isfinite():
            raise UserError(
                f"the loss is {loss.item()} in step {self.step} of epoch {self.epoch} "
                f"({stage.name.lower()}) with the clips {', '.join(batch.id)}; look "
                "at these, or lower lr"
            )
        # counted for each clip, since the last batch may be smaller
        for name, value in {"loss": loss, **terms}.items():
            self._note({name: value.expand(len(batch.id))})
        if stage != sb.Stage.TRAIN:
            self._validate(batch)
        return loss

    def _note(self, values):
        for name, value in values.items():
            self.noted.setdefault(name, []).append(value.detach().float().reshape(-1))

    def _validate(self, batch):
        """Faithfulness for the clips as they are, asked about their predicted class.

        In the first of the domains.
        """
        classifier, maskings = self.hparams.classifier, self.hparams.objective.maskings
        domain, masking = next(iter(maskings.items()))
        spectrum = classifier.stft(batch.sig.data)
        scene = hear(classifier, spectrum.abs(), domain)
        bank = self.sentences[sb.Stage.VALID]
        text = bank.first(self.hparams.valid_sentences)
        before = classifier.probabilities(scene.encoding.embedding, text)
        predicted = text[before.argmax(1)].unsqueeze(1)
        mask = self._masks(scene, predicted).squeeze(1)
        kept, removed = (
            hear_masked(classifier, change(mask, scene.energies), scene.domain)
            for change in (masking.keep, masking.remove)
        )
        kept = classifier.probabilities(kept, text)
        removed = classifier.probabilities(removed, text)
        self._note(faithfulness(before, kept, removed))
        # FF cannot be above the mean confidence
        self._note({"MM": mask.mean((1, 2)), "FF ceiling": before.amax(1)})
        self.shown = spectrum[0], scene.energies[0], mask[0]

    def on_fit_start(self):
        """Nothing is unreadable yet."""
        self.unreadable = {stage: set() for stage in self.clips}
        super().on_fit_start()

    def on_stage_start(self, stage, epoch):
        """Nothing is noted yet; the clips draw as it is due in this epoch."""
        self.noted, self.epoch = {}, epoch
        if stage == sb.Stage.TRAIN:
            reseed(self.hparams.seed, epoch)
            self.clips[stage].set_epoch(epoch)

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """One step of the learning rate."""
        if should_step:
            self.hparams.lr_annealing(self.optimizer)

    def _should_save_intra_epoch_ckpt(self, *args):
        """Never between the batches of one step, whose gradients would be lost."""
        due = super()._should_save_intra_epoch_ckpt(*args)
        return due and self.step % self.grad_accumulation_factor == 0

    def on_stage_end(self, stage, stage_loss, epoch):
        """Averages to the log; after validation a checkpoint.

        Two of the best and two of the latest are kept: one that a fault of the disk
        damages always leaves another.
        """
        stats = {
            name: parallel.mean(torch.cat(values).mean()).item()
            for name, values in self.noted.items()
        }
        if stage == sb.Stage.TRAIN:
            self.train_stats = stats
            return
        rate = self.optimizer.param_groups[0]["lr"] if self.optimizer else 0.0
        self.hparams.train_logger.log_stats(
            {"epoch": epoch, "lr": rate}, self.train_stats, stats
        )
        if self.board:
            self._show(epoch, stats)
        self.checkpointer.save_and_keep_only(
            meta={"loss": stats["loss"]}, min_keys=["loss"], num_to_keep=2
        )

    def _show(self, epoch, stats):
        """Losses, a spectrogram, its mask and the masked sound to TensorBoard."""
        board, maskings = self.board, self.hparams.objective.maskings
        domain, masking = next(iter(maskings.items()))
        stft = self.hparams.classifier.stft
        board.log_stats({"epoch": epoch}, self.train_stats, stats)
        spectrum, energies, mask = self.shown
        board.log_figure("valid/spectrogram", energies.clamp(min=1e-5).log10().cpu())
        board.log_figure("valid/mask", mask.cpu())
        if domain == "stft":
            kept = masking.keep(mask, energies)
            length = (spectrum.shape[1] - 1) * stft.hop_length
            sound = stft.playback(kept, spectrum, length)
            board.log_audio("valid/kept", sound.cpu(), stft.sample_rate)
