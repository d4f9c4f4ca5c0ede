"""A Predictor behind HTTP."""
