"""Images out of noise: how noise is mixed in, how images are drawn, and how good they are."""
