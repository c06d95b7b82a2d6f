"""A line to a server: all that comes back is late, and all connections share what it carries.

``python -m bench.far_line HOST PORT DELAY BANDWIDTH`` (seconds, bytes a second each way) prints the
port it listens on, tells on each line of its standard input the bytes it has carried both ways, and
ends with it.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Final

_PIECE: Final = 64 << 10
_ON_THE_WAY: Final = 256  # pieces of one connection: more than a line carries while it is late


class Line:
    """One direction: how late what it carries is, and when it is free again."""

    def __init__(self, delay: float, bandwidth: float) -> None:
        self._delay = delay
        self._bandwidth = bandwidth
        self._free = 0.0
        self.carried = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry all that comes, in order, and then its end."""
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_ON_THE_WAY)
        delivering = asyncio.create_task(self._deliver(on_the_way, writer))
        with suppress(ConnectionError):
            while data := await reader.read(_PIECE):
                await on_the_way.put((self._due(len(data)), data))
        await on_the_way.put((0.0, b""))
        await delivering

    def _due(self, size: int) -> float:
        now = asyncio.get_running_loop().time()
        self._free = max(now, self._free) + size / self._bandwidth
        self.carried += size
        return self._free + self._delay

    async def _deliver(
        self, on_the_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while True:
                due, data = await on_the_way.get()
                if not data:
                    break
                await asyncio.sleep(due - loop.time())
                writer.write(data)
                await writer.drain()
        writer.close()


async def _main(host: str, port: int, delay: float, bandwidth: float) -> None:
    there, back = Line(0, bandwidth), Line(delay, bandwidth)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(there.carry(reader, inner_writer), back.carry(inner_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(there.carried + back.carried, flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
