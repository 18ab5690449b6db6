"""Noise: corruption of the input before the encoder."""
