"""`archcalc verify` compares every static figure with a run on real tensors."""
