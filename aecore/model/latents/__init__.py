"""Latents: features h -> Code(z, mean, posterior, costs)."""
