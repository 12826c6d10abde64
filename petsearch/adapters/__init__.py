"""The outside world behind the ports: one package for each vendor or medium, one vendor library a
module. Only `app`, `standalone`, `cli` and `services` import them.
"""
