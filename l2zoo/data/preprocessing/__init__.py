"""From the bytes of a file to pixels of one size: the same rule in training, at inference and on a server."""
