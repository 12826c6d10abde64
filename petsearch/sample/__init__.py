"""Drawn pets: a deterministic catalogue of drawings and a tiny CLIP that knows them."""
