"""Training on the bundled drawings: the data, the recipe and the figures of the sample model."""
