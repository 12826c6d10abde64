"""Qdrant as a server (`index`) and in this process (`edge_index`), with what both share: payloads,
conditions, collections, lists by time. Each needs an extra of its own, so both are imported by
their full names.
"""
