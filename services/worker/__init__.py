"""The worker: a Celery process that runs chunks, reads sources and deletes what jobs left."""
