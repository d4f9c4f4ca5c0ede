"""Comparisons of named settings on the same data and seeds: L2 or L1, Adam or SGD; `running` is the door."""
