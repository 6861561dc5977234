"""Training: optimization, checkpoints that resume exactly, metrics, and the stages that use them."""
