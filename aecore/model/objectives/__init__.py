"""Objectives: how passes become a loss."""
