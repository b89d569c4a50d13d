"""Latent to Latent: the method, its mapper, its training, its variants."""
