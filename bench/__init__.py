"""Benchmarks: the figures in README.md and docs/performance.md, each printed by one command.

Modules with a `main` are run as `python -m bench.NAME`, most of them through `make bench-…`; the
others are what several of them share. Ratios come from paired runs on the same machine.
"""
