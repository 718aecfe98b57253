"""One model and its data: an epoch of training, and what validation says of it.

The readable reference for every faster way to train (law 4). An epoch is a function of names: its order,
its dropout and its augmentation come from seeds that carry the epoch's number (law 3), so nothing of a
generator outlives it. Knows neither objectives nor events; those are loop.py's.

Axes: N examples, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tunecli.seeding import seed_for
from tunecli.spec.knobs import TrialConfig
from tunecli.spec.knobs.models import Linear
from tunecli.spec.knobs.optimizers import Gd
from tunecli.train.augmentation import augment
from tunecli.train.batches import batch_sizes
from tunecli.train.cost import has_batch_norm
from tunecli.train.determinism import cpu_generator, reproducible_kernels, scoped_seed
from tunecli.train.initialisation import initialise
from tunecli.train.learning_rate import rate
from tunecli.train.loading import Fold
from tunecli.train.losses import build_loss
from tunecli.train.metrics import evaluate
from tunecli.train.models import build
from tunecli.train.optimizers import build_optimizer

_VALIDATION_ROWS = 8192


class Learner:
    """A model in training: what lives from one epoch to the next is its weights and its optimizer's state."""

    def __init__(self, config: TrialConfig, fold: Fold, seed: int, names: tuple[int, ...] = ()) -> None:
        """Build the model with its initial weights, on the fold's device.

        Args:
            config: the trial.
            fold: its data.
            seed: the trial's.
            names: what further names this learner's seeds carry: the fold's number, where there are folds.
        """
        self._config = config
        self._fold = fold
        self._seed = seed
        self._names = names
        self._device = fold.x_train.device
        self.model = build(config.model, fold.input_shape, fold.n_outputs)
        activation = "identity" if isinstance(config.model, Linear) else config.model.activation
        initialise(self.model, config.model.init, activation, self._seed_for("init"))
        self.model.to(self._device)
        self._parameters = [*self.model.parameters()]
        self._optimizer = build_optimizer(config.optimizer, self._parameters, self._device)
        class_weights_K = self._class_weights() if config.data.balance == "weight" else None
        self._training_loss = build_loss(config.loss, fold.task, class_weights_K)
        self._validation_loss = build_loss(config.loss, fold.task)
        self._sizes = batch_sizes(
            len(fold.y_train), config.training.batch_size, fold_single=has_batch_norm(config.model)
        )
        self._steps_per_epoch = 1 if isinstance(config.optimizer, Gd) else len(self._sizes)
        self._n_steps = config.training.n_steps(self._steps_per_epoch)
        self.n_epochs = config.training.n_epochs(self._steps_per_epoch)
        self._train_loss = float("nan")

    def train_epoch(self, epoch: int) -> float:
        """Train one epoch, counted from 1.

        Returns:
            The mean training loss over the epoch's examples, as it was while they were trained on. Where the
            steps are spent already, as one fold's may be before another's, the last epoch's.
        """
        done = (epoch - 1) * self._steps_per_epoch
        is_whole_batch = isinstance(self._config.optimizer, Gd)
        sizes = self._sizes if is_whole_batch else self._sizes[: self._n_steps - done]
        if done >= self._n_steps:
            return self._train_loss
        n_examples = sum(sizes)
        x, y_N = self._examples(epoch)
        batches = zip(torch.split(x[:n_examples], sizes), torch.split(y_N[:n_examples], sizes), strict=True)
        shares = torch.tensor(sizes, device=self._device) / n_examples
        self.model.train()
        with (
            scoped_seed(self._seed_for("dropout", epoch), self._device),
            reproducible_kernels(),
            torch.autograd.set_multithreading_enabled(False),  # 4 % of a small model's time on one core
        ):
            if is_whole_batch:
                losses = [
                    self._accumulate(*batch, share) for batch, share in zip(batches, shares, strict=True)
                ]
                self._step(done)
            else:
                losses = []
                for step, (x_batch, y_batch) in enumerate(batches, start=done):
                    loss = self._training_loss(self.model(x_batch), y_batch)
                    loss.backward()  # type: ignore[no-untyped-call]
                    self._step(step)
                    losses.append(loss.detach())
        # The losses stay on the device until here: reading one waits for all work queued there.
        self._train_loss = float(torch.stack(losses) @ shares)
        return self._train_loss

    def validate(self) -> dict[str, float]:
        """The validation part's metrics, ``val_loss`` among them; those that are undefined are absent."""
        fold = self._fold
        self.model.eval()
        with torch.inference_mode():
            outputs = torch.cat([self.model(x) for x in torch.split(fold.x_valid, _VALIDATION_ROWS)])
            loss = float(self._validation_loss(outputs, fold.y_valid))
            return {"val_loss": loss, **evaluate(fold.task, outputs, fold.y_valid, fold.target_scale)}

    def weights(self) -> dict[str, Tensor]:
        """A copy of the model's state as it is now."""
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def _seed_for(self, *names: str | int) -> int:
        return seed_for(self._seed, *names, *self._names)

    def _examples(self, epoch: int) -> tuple[Tensor, Tensor]:
        """The epoch's examples in its order: gathered once, so that every batch is a view."""
        fold = self._fold
        generator = cpu_generator(self._seed_for("shuffle", epoch))
        if self._config.data.balance == "sample":
            order_N = self._balanced_order(generator)
        else:
            order_N = torch.randperm(len(fold.y_train), generator=generator)
        order_N = order_N.to(self._device)
        x, y_N = fold.x_train.index_select(0, order_N), fold.y_train.index_select(0, order_N)
        if self._config.data.augment:
            x = augment(self._config.data.augment, x, cpu_generator(self._seed_for("augment", epoch)))
        return x, y_N

    def _balanced_order(self, generator: torch.Generator) -> Tensor:
        """Draw with replacement, so that every class is as likely as any other."""
        n = len(self._fold.y_train)
        weight_N = (1.0 / torch.tensor(self._fold.class_counts, dtype=torch.float64))[
            self._fold.y_train.cpu()
        ]
        edges_N = weight_N.cumsum(0)
        drawn_N = torch.rand(n, dtype=torch.float64, generator=generator) * edges_N[-1]
        return torch.searchsorted(edges_N, drawn_N, right=True).clamp_max(n - 1)

    def _class_weights(self) -> Tensor:
        """N / (K · count): inverse frequency with mean 1 over the training examples (King & Zeng 2001)."""
        counts_K = torch.tensor(self._fold.class_counts, dtype=torch.float32)
        return (counts_K.sum() / (len(counts_K) * counts_K)).to(self._device)

    def _accumulate(self, x_batch: Tensor, y_batch: Tensor, share: Tensor) -> Tensor:
        """Add a batch's share to the gradient of the whole training set."""
        loss = self._training_loss(self.model(x_batch), y_batch)
        (loss * share).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _step(self, step: int) -> None:
        """Bound the gradient, set the rate, update the weights, and forget the gradient."""
        training = self._config.training
        if training.grad_clip is not None:
            if training.grad_clip.norm is not None:
                nn.utils.clip_grad_norm_(self._parameters, training.grad_clip.norm)
            if training.grad_clip.value is not None:
                nn.utils.clip_grad_value_(self._parameters, training.grad_clip.value)
        if self._config.learning_rate:
            base = self._config.optimizer.lr
            horizon_epochs = self._n_steps / self._steps_per_epoch
            now = rate(self._config.learning_rate, base, step, self._steps_per_epoch, horizon_epochs)
            for group in self._optimizer.param_groups:
                group["lr"] = now
        self._optimizer.step()
        for parameter in self._parameters:
            parameter.grad = None
