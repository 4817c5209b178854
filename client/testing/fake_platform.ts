/** A front and its workers in memory: what a client asks of a browser's network. */
import type { Platform } from "../src/connection/connect.ts";
import type { FakeWorker } from "./fake_worker.ts";
import { memoryWires } from "./memory_wire.ts";

export class FakeNetwork {
    readonly workers: FakeWorker[];
    frontIsUp = true;
    relayIsUp = true;
    rtcIsUp = true;
    /** Connections come to this state once they have an answer, and to no other. */
    pathEndsAs: string | undefined;
    /** What was asked for, in order: "bootstrap", "relay <id>", "rtc <id>", "dial <host>". */
    readonly log: string[] = [];
    /** The candidates that came through the relay. */
    readonly candidates: unknown[] = [];

    constructor(...workers: FakeWorker[]) {
        this.workers = workers;
    }

    platform(): Platform {
        return {
            fetch: (input, init) => this.#fetch(new URL(String(input)), init),
            openWebSocket: () => new FakeSocket(this) as unknown as WebSocket,
            openPeerConnection: () => new FakePeer(this) as unknown as RTCPeerConnection,
        };
    }

    worker(id: string): FakeWorker | undefined {
        return this.workers.find((worker) => worker.id === id);
    }

    #fetch(url: URL, init?: RequestInit): Promise<Response> {
        if (url.pathname === "/bootstrap") {
            this.log.push("bootstrap");
            return this.frontIsUp
                ? Promise.resolve(this.#bootstrap())
                : Promise.reject(new TypeError("failed to fetch"));
        }
        const id = url.hostname;
        this.log.push(`rtc ${id}`);
        const found = this.rtcIsUp && this.worker(id) !== undefined && init?.body === fakeOffer;
        return Promise.resolve(new Response(found ? id : "", { status: found ? 201 : 503 }));
    }

    #bootstrap(): Response {
        const [worker, ...alternatives] = this.workers.map(({ id }) => ({ id, url: `http://${id}/` }));
        if (worker === undefined) {
            return Response.json({ error: "no worker" }, { status: 503 });
        }
        const signaling = "ws://front/signaling";
        return Response.json({ worker, alternatives, signaling, iceServers: [] });
    }
}

class FakeSocket {
    readonly OPEN = 1;
    readyState = 0;
    onopen: (() => void) | null = null;
    onmessage: ((event: { data: string }) => void) | null = null;
    onclose: (() => void) | null = null;
    onerror: (() => void) | null = null;
    readonly #network: FakeNetwork;

    constructor(network: FakeNetwork) {
        this.#network = network;
        setImmediate(() => {
            if (network.frontIsUp && network.relayIsUp) {
                this.readyState = this.OPEN;
                this.onopen?.();
            } else {
                this.onerror?.();
            }
        });
    }

    send(text: string): void {
        const message = JSON.parse(text) as { type: string; to: string; data: { type: string } };
        if (message.type === "register") {
            this.#reply({ type: "registered", id: "client" });
        } else if (message.data.type === "candidate") {
            this.#network.candidates.push(message.data);
        } else {
            this.#network.log.push(`relay ${message.to}`);
            const data = { type: "answer", sdp: message.to };
            const known = this.#network.worker(message.to) !== undefined;
            this.#reply(
                known
                    ? { type: "signal", from: message.to, data }
                    : { type: "error", code: "no-such-peer", to: message.to, message: "gone" },
            );
        }
    }

    close(): void {
        this.readyState = 3;
    }

    #reply(value: unknown): void {
        setImmediate(() => this.onmessage?.({ data: JSON.stringify(value) }));
    }
}

const fakeOffer = "v=0\r\na=ice-pwd:0123456789abcdefghijkl\r\na=mid:0\r\n";

/** The answer to its offer is the worker's id; or, of direct dial, names the worker's host. */
class FakePeer {
    readonly iceGatheringState = "complete";
    readonly sctp = { maxMessageSize: 65536 };
    connectionState = "new";
    localDescription: { sdp: string } | null = null;
    onconnectionstatechange: (() => void) | null = null;
    onicecandidate: ((event: unknown) => void) | null = null;
    readonly #network: FakeNetwork;
    readonly #channel = new FakeChannel();

    constructor(network: FakeNetwork) {
        this.#network = network;
    }

    createDataChannel(): FakeChannel {
        return this.#channel;
    }

    createOffer(): Promise<{ type: string; sdp: string }> {
        return Promise.resolve({ type: "offer", sdp: fakeOffer });
    }

    setLocalDescription(description: { sdp: string }): Promise<void> {
        this.localDescription = description;
        const candidate = { candidate: "candidate:1", sdpMid: "0", sdpMLineIndex: 0 };
        this.onicecandidate?.({ candidate: { ...candidate, toJSON: () => candidate } });
        return Promise.resolve();
    }

    setRemoteDescription({ sdp }: { sdp: string }): Promise<void> {
        const host = /^a=candidate:.* (\S+) \d+ typ host/m.exec(sdp)?.[1];
        if (host !== undefined) {
            this.#network.log.push(`dial ${host}`);
        }
        const worker = this.#network.worker(host ?? sdp);
        if (this.#network.pathEndsAs !== undefined) {
            this.connectionState = this.#network.pathEndsAs;
            setImmediate(() => this.onconnectionstatechange?.());
        } else if (worker !== undefined) {
            this.#channel.open(worker);
        }
        return Promise.resolve();
    }

    close(): void {
        this.#channel.close();
    }
}

class FakeChannel {
    readonly bufferedAmount = 0;
    onopen: (() => void) | null = null;
    onclose: (() => void) | null = null;
    onmessage: ((event: { data: ArrayBuffer }) => void) | null = null;
    readonly #near;
    readonly #far;

    constructor() {
        [this.#near, this.#far] = memoryWires();
        this.#near.onmessage = (message) => this.onmessage?.({ data: message!.slice().buffer });
        this.#near.onclose = () => this.onclose?.();
    }

    open(worker: FakeWorker): void {
        worker.serve(this.#far);
        setImmediate(() => this.onopen?.());
    }

    send(bytes: Uint8Array<ArrayBuffer>): void {
        this.#near.send(bytes.slice()).catch(() => {});
    }

    close(): void {
        this.#near.close();
    }
}
