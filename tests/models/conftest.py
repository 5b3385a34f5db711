"""What makes the models needs PyTorch, and is no test."""

collect_ignore = ["make_residual.py"]
