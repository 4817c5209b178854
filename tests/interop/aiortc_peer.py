"""A peer by aiortc; JSON lines both ways: {"offer": ...} and {"answer": ...}, then {"done": true}.

aiortc_peer.py offer|answer <label>...: has a channel for each label, its own where it offers.
"source:<bytes>:<max>" brings the messages of message_mix.h, "sink:<bytes>:<max>" takes them, any
other echoes; what comes is compared.
"""

import asyncio
import json
import sys

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

STARTS = 65536
MAX_BUFFERED = 1 << 20


class Mix:
    """message_mix.h"""

    def __init__(self, max_bytes):
        self.max_bytes, self.index, self.taken = max_bytes, 0, 0
        table, x = bytearray(STARTS + max_bytes), 1
        for k in range(len(table)):
            x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
            table[k] = x >> 24
        self.table = bytes(table)

    def size(self):
        hashed = ((self.index * 2654435761) & 0xFFFFFFFF) >> 8
        limits = [1, 0, 1500, 16384, self.max_bytes, 0, 1500, 16384]
        limit = min(limits[self.index % 8], self.max_bytes)
        return 1 + hashed % limit if limit else self.max_bytes

    def take(self):
        start, size = self.index % STARTS, self.size()
        self.index, self.taken = self.index + 1, self.taken + size
        return self.table[start : start + size]


class Channel:
    def __init__(self, raw):
        self.raw = raw
        self.messages = asyncio.Queue()
        self.open = asyncio.Event()
        raw.on("message", self.messages.put_nowait)
        raw.on("open", self.open.set)
        if raw.readyState == "open":
            self.open.set()

    async def work(self):
        await self.open.wait()
        kind, *numbers = self.raw.label.split(":")
        numbers = [int(number) for number in numbers]
        if kind == "source":
            await self.receive(*numbers)
        elif kind == "sink":
            await self.send(*numbers)
        else:
            await self.echo()

    async def receive(self, size, max_bytes):
        mix = Mix(max_bytes)
        while mix.taken < size:
            index, right = mix.index, mix.take()
            message = await self.messages.get()
            assert len(message) == len(right), f"message {index} has {len(message)} bytes"
            assert message == right, f"message {index} differs"

    async def send(self, size, max_bytes):
        mix = Mix(max_bytes)
        while mix.taken < size:
            while self.raw.bufferedAmount > MAX_BUFFERED:
                await asyncio.sleep(0.01)
            self.raw.send(mix.take())
        told = await self.messages.get()
        assert told == b"right", told

    async def echo(self):
        for size in [1, 1200, 65536]:
            message = bytes((size + i) & 0xFF for i in range(size))
            self.raw.send(message)
            assert await self.messages.get() == message, f"{size} bytes changed"


async def read(name):
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    return RTCSessionDescription(json.loads(line)[name], name)


def write(connection):
    description = connection.localDescription
    print(json.dumps({description.type: description.sdp}), flush=True)


async def offer(connection, labels):
    channels = []
    for label in labels:
        ordered = not label.startswith("unordered")
        channels.append(Channel(connection.createDataChannel(label, ordered=ordered)))
    await connection.setLocalDescription(await connection.createOffer())
    write(connection)
    await connection.setRemoteDescription(await read("answer"))
    return channels


async def answer(connection, labels):
    arrived = asyncio.Queue()
    connection.on("datachannel", lambda raw: arrived.put_nowait(Channel(raw)))
    await connection.setRemoteDescription(await read("offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    write(connection)
    return [await arrived.get() for _ in labels]


async def main():
    role, *labels = sys.argv[1:]
    # Its defaults name public STUN servers.
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    channels = await (offer if role == "offer" else answer)(connection, labels)
    assert sorted(channel.raw.label for channel in channels) == sorted(labels)
    await asyncio.gather(*(channel.work() for channel in channels))
    await connection.close()
    print(json.dumps({"done": True}), flush=True)


asyncio.run(main())
