/** The WebSocket relay of a front server (docs/protocol.md 1.2), for one connection attempt. */
import { KollatorError } from "../errors.ts";
import { isObject } from "../protocol/json.ts";
import { type Deferred, abortable, deferred } from "../wait.ts";

/** What arrives from the worker, as it came. */
export interface SignalHandlers {
    onAnswer: (sdp: string) => void;
    onCandidate: (candidate: RTCIceCandidateInit) => void;
    /** The worker is gone, or the front is; called once. */
    onFailure: (error: KollatorError) => void;
}

export type OpenWebSocket = (url: string) => WebSocket;

export class Signaling {
    readonly #socket: WebSocket;
    readonly #workerId: string;
    readonly #handlers: SignalHandlers;
    readonly #registered: Deferred<void> = deferred();
    #failed = false;

    private constructor(socket: WebSocket, workerId: string, handlers: SignalHandlers) {
        this.#socket = socket;
        this.#workerId = workerId;
        this.#handlers = handlers;
        this.#registered.promise.catch(() => {});
        socket.onopen = () => this.#sendJson({ type: "register", role: "client" });
        socket.onmessage = (event: MessageEvent<unknown>) => this.#handle(event.data);
        socket.onclose = () => this.#fail("front-unreachable", "the signaling was closed");
        socket.onerror = () => this.#fail("front-unreachable", "the signaling failed");
    }

    /** Resolves when the front has registered this client. */
    static async open(
        socket: WebSocket,
        workerId: string,
        handlers: SignalHandlers,
        signal: AbortSignal,
    ): Promise<Signaling> {
        const signaling = new Signaling(socket, workerId, handlers);
        try {
            await abortable(signaling.#registered.promise, signal);
        } catch (error) {
            signaling.close();
            throw error;
        }
        return signaling;
    }

    sendOffer(sdp: string): void {
        this.#signal({ type: "offer", sdp });
    }

    sendCandidate(candidate: RTCIceCandidateInit): void {
        this.#signal({ type: "candidate", candidate });
    }

    close(): void {
        this.#failed = true;
        this.#socket.onopen = null;
        this.#socket.onmessage = null;
        this.#socket.onclose = null;
        this.#socket.onerror = null;
        this.#socket.close();
    }

    #signal(data: unknown): void {
        this.#sendJson({ type: "signal", to: this.#workerId, data });
    }

    #sendJson(value: unknown): void {
        if (this.#socket.readyState === this.#socket.OPEN) {
            this.#socket.send(JSON.stringify(value));
        }
    }

    #handle(text: unknown): void {
        const message = parse(text);
        if (message === undefined) {
            return;
        }
        if (message["type"] === "registered") {
            this.#registered.resolve();
        } else if (message["type"] === "error") {
            const gone = message["code"] === "no-such-peer";
            this.#fail(gone ? "no-worker" : "front-unreachable", `the front says: ${String(message["message"])}`);
        } else if (message["type"] === "signal" && message["from"] === this.#workerId) {
            this.#take(message["data"]);
        }
    }

    #take(data: unknown): void {
        if (!isObject(data)) {
            return;
        }
        if (data["type"] === "answer" && typeof data["sdp"] === "string") {
            this.#handlers.onAnswer(data["sdp"]);
        } else if (data["type"] === "candidate" && isObject(data["candidate"])) {
            this.#handlers.onCandidate(data["candidate"] as RTCIceCandidateInit);
        }
    }

    #fail(kind: "no-worker" | "front-unreachable", message: string): void {
        if (this.#failed) {
            return;
        }
        this.#failed = true;
        const error = new KollatorError(kind, message);
        this.#registered.reject(error);
        this.#handlers.onFailure(error);
    }
}

function parse(text: unknown): Record<string, unknown> | undefined {
    try {
        const value: unknown = typeof text === "string" ? JSON.parse(text) : undefined;
        return isObject(value) ? value : undefined;
    } catch {
        return undefined;
    }
}
