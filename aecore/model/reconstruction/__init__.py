"""Reconstruction losses: the cost of an output against the clean image."""
