"""The stages of a run, in the order of `links.py`; each protocol is a folder."""
