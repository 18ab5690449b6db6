"""Penalties: regularisation terms, any number at once, each with a weight."""
