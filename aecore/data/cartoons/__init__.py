"""Cartoon faces, drawn at first use."""
