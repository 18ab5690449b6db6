"""Figures of a trained model: pure functions of what is looked at."""
