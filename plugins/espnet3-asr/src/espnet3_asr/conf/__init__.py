"""Config groups: ``defaults: [model: asr/conformer]`` in a recipe's training configuration."""
