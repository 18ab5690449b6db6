"""Loggers: where metrics and images go during training."""
