// A swarm of DHT nodes on loopback: half of npm's bittorrent-dht, half of libtorrent.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import DHT from "bittorrent-dht";

/** bittorrent-dht 11 answers with its whole table, which libtorrent drops over 1,500 bytes. */
const MOST_NODES_IN_AN_ANSWER = 16;

/** One node of bittorrent-dht. `delayMs()`: how long each datagram it sends is held back. */
export async function startNode(bootstrap, delayMs) {
    const dht = new DHT({ bootstrap, maxAge: 3_600_000 });
    const { nodes } = dht._rpc;
    const closest = nodes.closest.bind(nodes);
    nodes.closest = (id, count) => closest(id, Math.min(count ?? Infinity, MOST_NODES_IN_AN_ANSWER));
    if (delayMs) {
        const { socket } = dht._rpc.socket;
        const send = socket.send.bind(socket);
        socket.send = (...args) => setTimeout(() => dht.destroyed || send(...args), delayMs());
    }
    dht.on("error", () => {});
    dht.listen(0, "127.0.0.1");
    await once(dht, "listening");
    return dht;
}

export async function startNodes(count, delayMs) {
    const first = await startNode(false, delayMs);
    const entry = `127.0.0.1:${first.address().port}`;
    const nodes = [first];
    while (nodes.length < count) nodes.push(await startNode([entry], delayMs));
    return { nodes, entry };
}

/** Everybody who has announced `infoHash`, as "address:port". */
export function lookUp(dht, infoHash) {
    const peers = new Set();
    const listener = (peer, hash) => {
        if (hash.equals(infoHash)) peers.add(`${peer.host}:${peer.port}`);
    };
    return new Promise((resolve) => {
        dht.on("peer", listener);
        dht.lookup(infoHash, () => {
            dht.off("peer", listener);
            resolve(peers);
        });
    });
}

export const announce = (dht, infoHash, port) =>
    new Promise((resolve) => dht.announce(infoHash, port, resolve));

/** tests/support/dht/swarm.cc */
export async function startLibtorrentNodes(count, entry) {
    const child = spawn(process.env.KOLLATOR_DHT_SWARM, [String(count), entry], {
        stdio: ["pipe", "pipe", "inherit"],
    });
    const waiting = [];
    createInterface({ input: child.stdout }).on("line", (line) => {
        const message = JSON.parse(line);
        const at = waiting.findIndex(({ wanted }) => wanted(message));
        if (at >= 0) waiting.splice(at, 1)[0].resolve(message);
    });
    const expect = (wanted) => new Promise((resolve) => waiting.push({ wanted, resolve }));
    const command = (line, wanted) => {
        const answer = expect(wanted);
        child.stdin.write(line + "\n");
        return answer;
    };
    const { ready } = await expect((message) => message.ready);
    assert.equal(ready.length, count);
    return {
        ports: ready,
        announce: (node, hash) =>
            command(`announce ${node} ${hash.toString("hex")}`, (m) => m.announcing === hash.toString("hex")),
        find: async (node, hash) =>
            (await command(`find ${node} ${hash.toString("hex")}`, (m) => m.hash === hash.toString("hex"))).peers,
        kill: (node) => command(`kill ${node}`, (m) => m.killed === node),
        contacts: async () => (await command("contacts", (m) => m.contacts)).contacts,
        async stop() {
            child.stdin.end();
            await once(child, "exit");
        },
    };
}
