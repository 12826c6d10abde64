"""The embedder: an HTTP service that holds the models and batches across requests."""
