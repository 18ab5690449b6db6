"""Metrics of disentanglement, for data with known factors of variation."""
