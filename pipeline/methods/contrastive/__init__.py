"""Directions learned by contrast, LatentCLR and LLF, and what they share."""
