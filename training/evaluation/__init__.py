"""Measuring a model on labelled photos: figures with intervals, the report, and the table of
results in the README.
"""
