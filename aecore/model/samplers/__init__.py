"""Samplers: distributions fitted to codes after training, from which new codes are drawn."""
