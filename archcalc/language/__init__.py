"""The architecture language: text to tokens, tokens to syntax, names to meanings, and all of it to a
network."""
