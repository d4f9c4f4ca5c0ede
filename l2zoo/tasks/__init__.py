"""What models are trained for: targets, answers and how good they are, one task a file."""
