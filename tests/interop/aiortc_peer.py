"""Offers a connection by aiortc, and does what its arguments say; JSON lines both ways.

aiortc_peer.py <megabytes>: receives that much on one channel, sends as much on a second, and sends
messages of several sizes to be echoed on a third, ordered, and on a fourth, unordered.
"""

import asyncio
import json
import sys

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

BLOCK = 65536
SIZES = [1, 1200, 65536]


def pattern(size, seed):
    return bytes((seed + i) & 0xFF for i in range(size))


class Channel:
    def __init__(self, connection, label, ordered=True):
        self.raw = connection.createDataChannel(label, ordered=ordered)
        self.messages = asyncio.Queue()
        self.open = asyncio.Event()
        self.raw.on("message", self.messages.put_nowait)
        self.raw.on("open", self.open.set)
        if self.raw.readyState == "open":
            self.open.set()


async def receive(channel, count):
    for index in range(count):
        message = await channel.messages.get()
        assert len(message) == BLOCK, f"message {index} has {len(message)} bytes"
        assert int.from_bytes(message[:4], "big") == index, f"message {index} is out of order"
        body = bytes((index + i) & 0xFF for i in range(256))
        assert message[4:260] == body and message[-4:] == pattern(BLOCK - 4, index)[-4:]


async def send(channel, count):
    await channel.open.wait()
    block = pattern(BLOCK, 1)
    for _ in range(count):
        while channel.raw.bufferedAmount > 1 << 20:
            await asyncio.sleep(0.01)
        channel.raw.send(block)
    assert len(await channel.messages.get()) == 8, "not acknowledged"


async def echo(channel):
    await channel.open.wait()
    for size in SIZES:
        channel.raw.send(pattern(size, size))
        assert await channel.messages.get() == pattern(size, size), f"{size} bytes changed"


async def main():
    count = int(float(sys.argv[1]) * 1024 * 1024 / BLOCK)
    # Its defaults name public STUN servers.
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    work = [
        receive(Channel(connection, f"source:{count}:{BLOCK}"), count),
        send(Channel(connection, f"sink:{count * BLOCK}"), count),
        echo(Channel(connection, "ordered")),
        echo(Channel(connection, "unordered", ordered=False)),
    ]
    await connection.setLocalDescription(await connection.createOffer())
    print(json.dumps({"offer": connection.localDescription.sdp}), flush=True)
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    answer = RTCSessionDescription(json.loads(line)["answer"], "answer")
    await connection.setRemoteDescription(answer)
    await asyncio.gather(*work)
    await connection.close()
    print(json.dumps({"done": True}), flush=True)


asyncio.run(main())
