"""Whether an exported file answers like the Keras model."""
