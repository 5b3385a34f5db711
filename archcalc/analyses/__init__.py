"""The analyses: each a pure fold over the facts of nodes, none of which names a layer kind."""
