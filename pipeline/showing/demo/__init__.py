"""A page on this machine's loopback with a slider for each attribute, moved by a trained method."""
