"""Training by steps of an optimiser: the loop, its learning rate and its checkpoints."""
