"""The composition root: settings in, running services out. `services` builds everything a process
needs, `connections` opens what each address names. The embedder imports `connections` alone,
because its image holds no Redis client; so nothing is exported here.
"""
