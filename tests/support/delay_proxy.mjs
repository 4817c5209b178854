// A TCP proxy in front of a server that is far away: what the server sends arrives so much later.

import { once } from "node:events";
import { connect, createServer } from "node:net";

/** Resolves with `{ url, stop() }`. `target`: the server's URL; `delayMs`: a round trip's time. */
export async function startDelayProxy(target, delayMs) {
    const { hostname, port } = new URL(target);
    const sockets = new Set();
    const server = createServer((client) => {
        const upstream = connect(Number(port), hostname);
        for (const socket of [client, upstream]) {
            sockets.add(socket);
            socket.setNoDelay(true);
            socket.on("error", () => {});
            socket.on("close", () => sockets.delete(socket));
        }
        client.pipe(upstream);
        // Timers of one length fire in the order in which they were set: so does the data arrive.
        upstream.on("data", (data) => setTimeout(() => client.write(data), delayMs));
        upstream.on("close", () => setTimeout(() => client.destroy(), delayMs));
        client.on("close", () => upstream.destroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return {
        url: `http://127.0.0.1:${server.address().port}`,
        async stop() {
            server.close();
            for (const socket of sockets) socket.destroy();
            await once(server, "close");
        },
    };
}
