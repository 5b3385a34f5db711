"""The `.arch` language. Text becomes tokens, tokens become syntax, names get meanings, and the result is a
network."""
