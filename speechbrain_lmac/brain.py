"""Training of the decoder: one step, validation, logging."""

import logging
import math

import speechbrain as sb
import torch

from speechbrain_lmac.explainers.base import hear, hear_masked
from speechbrain_lmac.metrics import faithfulness

logger = logging.getLogger(__name__)


class LMACZSBrain(sb.Brain):
    """Trains ``modules.decoder`` against the frozen ``hparams.classifier``.

    The classifier is not one of the modules, so that no optimizer, checkpoint or
    ``train()`` reaches it. ``sentences`` (a
    :class:`~speechbrain_lmac.data.sentences.SentenceBank`) and ``total_steps`` are set
    by the script, which knows the data.
    """

    sentences = None
    total_steps = 1

    def compute_forward(self, batch, stage):
        """A batch of clips and captions to pairs and their masks [B, K, F, T]."""
        batch = batch.to(self.device)
        bank, prompt = self.sentences.draw(batch.captions)
        pairs = self.hparams.objective.prepare(batch.sig.data, bank, prompt)
        scene = pairs.scene
        return pairs, self._masks(scene, pairs.text)

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
        self._note({"loss": loss, **terms})
        if stage != sb.Stage.TRAIN:
            self._validate(batch)
        return loss

    def _note(self, values):
        for name, value in values.items():
            self.noted.setdefault(name, []).append(value.detach().float().reshape(-1))

    def _validate(self, batch):
        """Faithfulness for the clips as they are, asked about their predicted class."""
        classifier, objective = self.hparams.classifier, self.hparams.objective
        spectrum = classifier.stft(batch.sig.data)
        scene = hear(classifier, spectrum.abs(), objective.domain)
        text = self.sentences.first(self.hparams.valid_sentences)
        before = classifier.probabilities(scene.encoding.embedding, text)
        predicted = text[before.argmax(1)].unsqueeze(1)
        mask = self._masks(scene, predicted).squeeze(1)
        kept, removed = (
            hear_masked(classifier, change(mask, scene.energies), scene.domain)
            for change in (objective.masking.keep, objective.masking.remove)
        )
        kept = classifier.probabilities(kept, text)
        removed = classifier.probabilities(removed, text)
        self._note(faithfulness(before, kept, removed))
        # FF cannot be above the mean confidence
        self._note({"MM": mask.mean((1, 2)), "FF ceiling": before.amax(1)})
        self.shown = spectrum[0], scene.energies[0], mask[0]

    def on_stage_start(self, stage, epoch):
        """Nothing is noted yet; every validation draws the same pairs."""
        self.noted = {}
        if stage != sb.Stage.TRAIN:
            self.random_state = torch.get_rng_state()
            torch.manual_seed(0)

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """One step of the learning rate."""
        if should_step:
            self.hparams.lr_annealing(self.optimizer)

    def on_stage_end(self, stage, stage_loss, epoch):
        """Averages to the log; after validation a checkpoint, the best is kept."""
        stats = {name: torch.cat(v).mean().item() for name, v in self.noted.items()}
        if stage == sb.Stage.TRAIN:
            self.train_stats = stats
            return
        torch.set_rng_state(self.random_state)
        if not math.isfinite(stats["loss"]):  # such a decoder is never the best
            raise ValueError(f"the loss of epoch {epoch} is {stats['loss']}")
        rate = self.optimizer.param_groups[0]["lr"] if self.optimizer else 0.0
        self.hparams.train_logger.log_stats(
            {"epoch": epoch, "lr": rate}, self.train_stats, stats
        )
        if self.hparams.tensorboard:
            self._show(epoch, stats)
        self.checkpointer.save_and_keep_only(
            meta={"loss": stats["loss"]}, min_keys=["loss"]
        )

    def _show(self, epoch, stats):
        """Losses, a spectrogram, its mask and the masked sound to TensorBoard."""
        board, objective = self.hparams.tensorboard, self.hparams.objective
        stft = self.hparams.classifier.stft
        board.log_stats({"epoch": epoch}, self.train_stats, stats)
        spectrum, energies, mask = self.shown
        board.log_figure("valid/spectrogram", energies.clamp(min=1e-5).log10().cpu())
        board.log_figure("valid/mask", mask.cpu())
        if objective.domain == "stft":
            kept = objective.masking.keep(mask, energies)
            length = (spectrum.shape[1] - 1) * stft.hop_length
            sound = stft.playback(kept, spectrum, length)
            board.log_audio("valid/kept", sound.cpu(), stft.sample_rate)
