"""Data: audio files, manifests, batches, loaders, augmentation, and preparing a corpus."""
