"""How hypothesis looks for counterexamples: the same ones in every run, unless told otherwise."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", max_examples=5000, deadline=None)
settings.load_profile("repeatable")
