"""`archcalc verify`: every static figure beside what happens on real tensors."""
