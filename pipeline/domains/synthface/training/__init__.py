"""Training of every network of the embedded domain, from rendered faces whose truth is known."""
