"""Figures of a trained model: pure functions of a trial."""
