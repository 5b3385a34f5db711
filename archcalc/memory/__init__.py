"""Memory over time: which tensors are alive at each moment of inference or of a training step."""
