"""Where memory goes: which tensors are alive when, at inference and in a step of training."""
