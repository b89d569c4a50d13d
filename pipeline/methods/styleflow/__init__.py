"""StyleFlow: the method, its flow, its training."""
