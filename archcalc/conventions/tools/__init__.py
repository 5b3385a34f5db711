"""How tools and papers count, one file each; found by itself."""
