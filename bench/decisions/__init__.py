"""Benchmarks that settled one decision each; the ADR that a module names records the outcome. They
are kept so that a decision can be measured again, and are no part of the regular benchmarks.
"""
