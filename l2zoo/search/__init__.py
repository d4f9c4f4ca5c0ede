"""The search for the strength of L2: which lambda, and whether L2 helps at all; `search` is the door."""
