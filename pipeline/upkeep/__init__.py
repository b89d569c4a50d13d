"""Upkeep of the outputs folder: what it holds, what of it nobody needs, what runs cost."""
