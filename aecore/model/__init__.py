"""The autoencoder and its components: network, latent, noise, penalties, reconstruction, ..."""
