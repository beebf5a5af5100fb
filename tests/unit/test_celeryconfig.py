"""Messages reach the one queue they are meant for."""

from workers.app import app


def test_every_queue_has_a_routing_key_of_its_own() -> None:
    # With one key for all, each message would land in every queue and each task run three times.
    queues = app.amqp.queues
    assert {name: queue.routing_key for name, queue in queues.items()} == {name: name for name in queues}
    assert set(queues) == {"events", "medusa", "sweeps"}
