#!/usr/bin/python3
"""aiortc (Debian's python3-aiortc) as a peer of the echo server, which aiortc.test.mjs runs.

Writes one JSON object a line: {"ask": <method>, "arguments": [...]} for the echo server, whose
answer it reads, and at the end of each case {"case": name, "error": null or a text}.
"""

import asyncio
import json
import sys
import traceback

from aiortc import RTCPeerConnection, RTCSessionDescription

SIZES = [1, 1_200, 65_536, 262_144]
DEADLINE_S = 60
MESSAGE_BYTES = 65_536


def pattern(size, seed):
    return bytes((seed + i * 7 + (i >> 8)) & 0xFF for i in range(size))


def write(line):
    print(json.dumps(line), flush=True)


async def ask(method, *arguments):
    write({"ask": method, "arguments": arguments})
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    return json.loads(line)


class Channel:
    """A channel with its messages in a queue."""

    def __init__(self, raw):
        self.raw = raw
        self.messages = asyncio.Queue()
        self.open = asyncio.Event()
        raw.on("message", self.messages.put_nowait)
        raw.on("open", self.open.set)
        if raw.readyState == "open":
            self.open.set()

    async def next(self):
        return await asyncio.wait_for(self.messages.get(), DEADLINE_S)


async def offer(labels):
    """Connects as the offerer, with a channel for each label."""
    pc = RTCPeerConnection()
    channels = [Channel(pc.createDataChannel(label)) for label in labels]
    await pc.setLocalDescription(await pc.createOffer())
    answered = await ask("offer", pc.localDescription.sdp)
    await pc.setRemoteDescription(RTCSessionDescription(answered["answer"], "answer"))
    for channel in channels:
        await asyncio.wait_for(channel.open.wait(), DEADLINE_S)
    return pc, channels


async def answer(labels):
    """Connects as the answerer to an offer with a channel for each label."""
    made = await ask("makeOffer", labels)
    pc = RTCPeerConnection()
    arrived = asyncio.Queue()
    pc.on("datachannel", lambda raw: arrived.put_nowait(Channel(raw)))
    await pc.setRemoteDescription(RTCSessionDescription(made["offer"], "offer"))
    await pc.setLocalDescription(await pc.createAnswer())
    accepted = await ask("acceptAnswer", made["peer"], pc.localDescription.sdp)
    assert "error" not in accepted, accepted
    channels = {}
    for _ in labels:
        channel = await asyncio.wait_for(arrived.get(), DEADLINE_S)
        channels[channel.raw.label] = channel
    return pc, [channels[label] for label in labels]


async def echoes(channel):
    for size in SIZES:
        channel.raw.send(pattern(size, size & 0xFF))
        assert await channel.next() == pattern(size, size & 0xFF), f"{size} bytes changed"


async def receives(channel, count):
    for index in range(count):
        message = await channel.next()
        assert len(message) == MESSAGE_BYTES, f"message {index} has {len(message)} bytes"
        assert int.from_bytes(message[:4], "big") == index, f"not message {index}"


async def sends(channel, count):
    block = pattern(MESSAGE_BYTES, 1)
    for _ in range(count):
        while channel.raw.bufferedAmount > 1 << 20:
            await asyncio.sleep(0.01)
        channel.raw.send(block)
    total = int.from_bytes(await channel.next(), "big")
    assert total == count * MESSAGE_BYTES, f"{total} bytes arrived"


async def run_role(connect, count):
    labels = ["echo", f"source:{count}:{MESSAGE_BYTES}", f"sink:{count * MESSAGE_BYTES}"]
    pc, (echo, source, sink) = await connect(labels)
    await echoes(echo)
    await receives(source, count)
    await sends(sink, count)
    await pc.close()


async def main(count):
    cases = {
        "offers, echoes, receives and sends": lambda: run_role(offer, count),
        "answers, echoes, receives and sends": lambda: run_role(answer, count),
    }
    for name, run in cases.items():
        error = None
        try:
            await run()
        except Exception:  # told to whoever runs the cases
            error = traceback.format_exc()
        write({"case": name, "error": error})


asyncio.run(main(int(sys.argv[1])))
