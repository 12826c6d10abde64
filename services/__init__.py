"""The processes of the distributed shape: `api`, `worker` and `embedder`, and `http`, which the two
HTTP services share.
"""
