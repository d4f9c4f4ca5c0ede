"""What is trained on and what is measured on: slices, held-out shares, groups; nothing is in both."""
