/**
 * The page with a worker in memory behind real data channels, to work on web/ without building the
 * worker. From the root of the source tree, after a build of the page:
 *
 *     esbuild client/testing/dev_server.ts --bundle --platform=node --format=esm \
 *         --packages=external --outfile=build/dev_server.mjs
 *     node_modules/.bin/node build/dev_server.mjs build/dev/web/dist 8080
 */
import { createReadStream } from "node:fs";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import { extname, join, normalize } from "node:path";

import { RTCPeerConnection } from "node-datachannel/polyfill";

import { DataChannelWire } from "../src/connection/wire.ts";
import { FakeWorker } from "./fake_worker.ts";

const [folder = "build/dev/web/dist", port = "8080"] = process.argv.slice(2);
const worker = new FakeWorker();
/** Kept: a connection that nobody holds is collected. */
const peers = new Set<RTCPeerConnection>();

const contentTypes = new Map([
    [".html", "text/html; charset=utf-8"],
    [".js", "text/javascript; charset=utf-8"],
    [".css", "text/css; charset=utf-8"],
    [".svg", "image/svg+xml"],
]);

const contentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src *; " +
    "worker-src 'self'";

async function answerOffer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let sdp = "";
    for await (const part of request) {
        sdp += String(part);
    }
    const peer = new RTCPeerConnection();
    peers.add(peer);
    peer.ondatachannel = ({ channel }) => {
        const serve = (): void =>
            worker.serve(new DataChannelWire(channel, 256 * 1024, () => peers.delete(peer)));
        if (channel.readyState === "open") {
            serve();
        } else {
            channel.onopen = serve;
        }
    };
    await peer.setRemoteDescription({ type: "offer", sdp });
    await peer.setLocalDescription(await peer.createAnswer());
    await new Promise<void>((resolve) => {
        const check = (): void => (peer.iceGatheringState === "complete" ? resolve() : undefined);
        peer.onicegatheringstatechange = check;
        check();
    });
    response.writeHead(201, { "Content-Type": "application/sdp" });
    response.end(peer.localDescription?.sdp);
}

createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    if (path === "/bootstrap") {
        const url = `http://${request.headers.host}`;
        response.end(JSON.stringify({ worker: { id: worker.id, url }, alternatives: [] }));
    } else if (path === "/rtc") {
        void answerOffer(request, response);
    } else if (path === "/fake/hang-up") {
        worker.hangUp();
        response.end();
    } else {
        const file = join(folder, normalize(path === "/" ? "/index.html" : path));
        response.setHeader("Content-Type", contentTypes.get(extname(file)) ?? "text/plain");
        response.setHeader("Content-Security-Policy", contentSecurityPolicy);
        createReadStream(file)
            .on("error", () => response.writeHead(404).end())
            .pipe(response);
    }
}).listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/`));
