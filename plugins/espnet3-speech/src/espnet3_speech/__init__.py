"""Bricks that speech tasks share: front ends, normalizers, augmentation, encoders, decoders, losses."""
