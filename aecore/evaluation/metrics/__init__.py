"""Metrics of a trained model, the same for every variant."""
