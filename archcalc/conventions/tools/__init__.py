"""How tools and papers count: one file for a tool, or for a few small ones of a sort."""
