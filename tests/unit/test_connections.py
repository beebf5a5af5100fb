"""What is written in one turn of the loop goes out at once, in its order, and all of it before the end."""

import asyncio
from typing import Any

from bridge.http.connections import _OneWrite


class Wire:
    """A transport that notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def sent_by(talk: Any) -> Wire:
    wire = Wire()

    async def run() -> None:
        await talk(_OneWrite(wire, asyncio.get_running_loop()), wire)  # type: ignore[arg-type]

    asyncio.run(run())
    return wire


def test_a_head_and_its_body_are_one_packet_and_the_next_answer_is_another() -> None:
    async def talk(transport: Any, _: Wire) -> None:
        transport.write(b"head ")
        transport.write(b"body")
        await asyncio.sleep(0)
        transport.write(b"next")
        await asyncio.sleep(0)

    assert sent_by(talk).sent == [b"head body", b"next"]


def test_what_was_written_is_sent_before_the_end() -> None:
    async def talk(transport: Any, _: Wire) -> None:
        transport.write(b"head ")
        transport.write(b"body")
        transport.close()
        await asyncio.sleep(0)

    wire = sent_by(talk)
    assert (wire.sent, wire.closed) == ([b"head body"], True)


def test_nothing_is_written_to_who_has_gone_away() -> None:
    async def talk(transport: Any, wire: Wire) -> None:
        transport.write(b"head")
        wire.close()
        await asyncio.sleep(0)
        assert transport.is_closing()

    assert sent_by(talk).sent == []
