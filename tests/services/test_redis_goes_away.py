"""What a worker's connection does when Redis goes away: it must not raise what ends the worker."""

import logging
from collections.abc import Iterator
from typing import Any

import celery
import pytest

from petsearch.adapters.redis import CeleryQueue, make_celery
from petsearch.domain import QueueName

log = logging.getLogger(__name__)


@pytest.fixture
def app(redis_url: str) -> Iterator[celery.Celery]:
    app = make_celery(redis_url)
    yield app
    app.close()


def _take_message(app: celery.Celery, connection: Any) -> Any:
    """A message that is not acknowledged yet, as a worker has it while it works."""
    CeleryQueue(app).enqueue_chunk("job", 0, QueueName.BULK)
    queue = app.amqp.queues[QueueName.BULK.value](connection.default_channel)
    queue.declare()
    message = queue.get(no_ack=False)
    assert message is not None
    return message


def test_a_lost_connection_closes_and_a_late_acknowledgement_is_only_logged(
    app: celery.Celery, caplog: pytest.LogCaptureFixture
) -> None:
    connection = app.connection_for_read()
    message = _take_message(app, connection)
    # What is left when Redis goes away while the worker waits for one more message.
    connection.transport.client = None
    with pytest.raises(connection.connection_errors):
        message.channel.close()
    message.ack_log_error(log, connection.connection_errors)
    assert "Couldn't ack" in caplog.text
