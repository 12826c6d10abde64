"""The compose files on a Docker engine: `make test-compose`."""
