"""A training module and a trainer of a recipe's own."""

import lightning.pytorch
from espnet3_core.train.module import TrainingModule


class OwnModule(TrainingModule):
    def __init__(self, model, training, scale=1.0):
        super().__init__(model, training)
        self.scale = scale

    def training_step(self, batch, batch_idx):
        return self.scale * super().training_step(batch, batch_idx)


class OwnTrainer(lightning.pytorch.Trainer):
    made = 0

    def __init__(self, **arguments):
        super().__init__(**arguments)
        OwnTrainer.made += 1
