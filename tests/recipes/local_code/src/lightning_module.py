"""A training module that counts its steps into the experiment."""

from espnet3_core.train.module import TrainingModule


class CountingModule(TrainingModule):
    """Counts training steps."""

    steps = 0

    def training_step(self, batch, batch_idx):
        """Count, then train as usual."""
        type(self).steps += 1
        return super().training_step(batch, batch_idx)
