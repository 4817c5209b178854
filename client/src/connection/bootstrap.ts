/** Asks a front which worker to use (docs/protocol.md 1.2). */
import { KollatorError } from "../errors.ts";
import { isObject } from "../protocol/json.ts";
import { abortable } from "../wait.ts";

export interface WorkerAddress {
    id: string;
    /** Base of its HTTP port; empty where the front knows none. */
    url: string;
}

export interface Bootstrap {
    /** The worker to use, then those to fall back on. */
    workers: WorkerAddress[];
    signalingUrl: string;
    iceServers: RTCIceServer[];
}

export async function bootstrap(
    frontUrl: URL,
    httpFetch: typeof fetch,
    signal: AbortSignal,
): Promise<Bootstrap> {
    let response: Response;
    let body: unknown;
    try {
        const request = httpFetch(new URL("/bootstrap", frontUrl), { method: "POST", signal });
        response = await abortable(request, signal);
        body = await response.json().catch(() => undefined);
    } catch (error) {
        signal.throwIfAborted();
        throw new KollatorError("front-unreachable", "the front does not answer", { cause: error });
    }
    if (response.status === 503 || response.status === 404) {
        throw new KollatorError("no-worker", "the front knows no worker");
    }
    if (!response.ok || !isObject(body)) {
        throw new KollatorError("front-unreachable", `the front answered ${response.status}`);
    }
    const workers = [body["worker"], ...asList(body["alternatives"])].flatMap(workerAddress);
    if (workers.length === 0) {
        throw new KollatorError("no-worker", "the front knows no worker");
    }
    return {
        workers,
        signalingUrl: signalingUrl(body["signaling"], frontUrl),
        iceServers: asList(body["iceServers"]).filter(isIceServer),
    };
}

function workerAddress(value: unknown): WorkerAddress[] {
    if (!isObject(value) || typeof value["id"] !== "string") {
        return [];
    }
    return [{ id: value["id"], url: typeof value["url"] === "string" ? value["url"] : "" }];
}

/** A front behind a TLS proxy may not know that it is: a secure page may not open ws. */
function signalingUrl(advertised: unknown, frontUrl: URL): string {
    const url = new URL("/signaling", frontUrl);
    if (typeof advertised === "string" && URL.canParse(advertised)) {
        url.href = advertised;
    }
    const secure = frontUrl.protocol === "https:" || url.protocol === "wss:";
    url.protocol = secure ? "wss:" : "ws:";
    return url.href;
}

function asList(value: unknown): unknown[] {
    return Array.isArray(value) ? value : [];
}

function isIceServer(value: unknown): value is RTCIceServer {
    return isObject(value) && (typeof value["urls"] === "string" || Array.isArray(value["urls"]));
}
