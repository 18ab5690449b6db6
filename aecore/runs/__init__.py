"""Runs and sweeps on disk: written atomically, validated when read, opened as models."""
