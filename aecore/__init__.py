"""A laboratory for autoencoders: network x latent x noise x penalty x reconstruction."""

__version__ = "0.1.0"
