"""The names of workers, which are unique in Celery and tell on which host a worker runs."""

import secrets


def node_name(host: str) -> str:
    """A name for one worker process on `host`; processes of one host get different ones."""
    return f"worker-{secrets.token_hex(4)}@{host}"


def nodes_of_host(host: str) -> str:
    """A glob that matches the names of all workers on `host`, and of no other host."""
    literal = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in host)
    return f"worker-*@{literal}"
