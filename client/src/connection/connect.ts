/** One attempt to reach one worker: ends in a wire, or in an error that says what failed. */
import { KollatorError } from "../errors.ts";
import {
    channelLabel,
    channelProtocol,
    defaultMaxMessageBytes,
    maxMessageBytes,
} from "../protocol/constants.ts";
import { type Deferred, abortable, deferred } from "../wait.ts";
import type { WorkerAddress } from "./bootstrap.ts";
import { directAnswer, parseDirectAddress } from "./direct.ts";
import { type OpenWebSocket, Signaling } from "./signaling.ts";
import { DataChannelWire, type Wire } from "./wire.ts";

/** What a browser has and Node has not: to be injected there. */
export interface Platform {
    fetch: typeof fetch;
    openWebSocket: OpenWebSocket;
    openPeerConnection: (configuration: RTCConfiguration) => RTCPeerConnection;
}

export interface Route {
    worker: WorkerAddress;
    /** Undefined: by POST /rtc only. */
    signalingUrl: string | undefined;
    iceServers: RTCIceServer[];
    /** To be dialed without signaling; goes before the other ways. */
    directAddress?: string | undefined;
}

/** Host candidates are there at once; one STUN round trip more is worth waiting for. */
const gatherTimeoutMs = 1000;
/** "disconnected" may heal by itself (a change of network); after this the channel is given up. */
const disconnectedGraceMs = 3000;

export function browserPlatform(): Platform {
    return {
        fetch: (input, init) => fetch(input, init),
        openWebSocket: (url) => new WebSocket(url),
        openPeerConnection: (configuration) => new RTCPeerConnection(configuration),
    };
}

/**
 * By its direct address where it is known, through the front's relay, or by POST /rtc: whatever of
 * these the route has, until one works.
 */
export async function connect(
    route: Route,
    platform: Platform,
    timeoutMs: number,
    signal: AbortSignal,
): Promise<Wire> {
    const ways = [
        ...(route.directAddress === undefined ? [] : [dialDirectly]),
        ...(route.signalingUrl === undefined ? [] : [relayThroughFront]),
        ...(route.worker.url === "" ? [] : [exchangeByHttp]),
    ];
    let failure = new KollatorError("no-worker", "there is no way to this worker");
    for (const way of ways) {
        const attempt = new Attempt(route, platform, timeoutMs, signal);
        try {
            return await attempt.run(way);
        } catch (error) {
            signal.throwIfAborted();
            failure = asConnectError(error);
        }
    }
    throw failure;
}

function asConnectError(error: unknown): KollatorError {
    return error instanceof KollatorError
        ? error
        : new KollatorError("no-worker", "the worker cannot be reached", { cause: error });
}

type Way = (attempt: Attempt) => Promise<void>;

class Attempt {
    readonly route: Route;
    readonly platform: Platform;
    readonly peer: RTCPeerConnection;
    /** Aborted when the attempt is over, whatever its end. */
    readonly signal: AbortSignal;
    readonly #over = new AbortController();
    readonly #channel: RTCDataChannel;
    readonly #open: Deferred<void> = deferred();
    readonly #timer: ReturnType<typeof setTimeout>;
    readonly #outer: AbortSignal;
    readonly #onAbort = (): void => this.fail(this.#outer.reason);

    constructor(route: Route, platform: Platform, timeoutMs: number, outer: AbortSignal) {
        this.route = route;
        this.platform = platform;
        this.signal = this.#over.signal;
        this.#outer = outer;
        this.peer = platform.openPeerConnection({ iceServers: route.iceServers });
        this.#channel = this.peer.createDataChannel(channelLabel, {
            protocol: channelProtocol,
            ordered: true,
        });
        this.#open.promise.catch(() => {});
        this.#channel.onopen = () => this.#open.resolve();
        this.#channel.onclose = () => this.failAs("no-worker", "the worker closed the channel");
        this.peer.onconnectionstatechange = () => {
            const state = this.peer.connectionState;
            // libdatachannel says "closed", too, where the certificate is another one.
            if (state === "failed" || state === "closed") {
                this.failAs("no-worker", "no network path to the worker");
            }
        };
        this.#timer = setTimeout(
            () => this.failAs("no-worker", "the worker did not connect in time"),
            timeoutMs,
        );
        outer.addEventListener("abort", this.#onAbort);
    }

    fail(error: unknown): void {
        this.#open.reject(error);
    }

    failAs(kind: KollatorError["kind"], message: string): void {
        this.fail(new KollatorError(kind, message));
    }

    async run(way: Way): Promise<Wire> {
        try {
            this.#outer.throwIfAborted();
            way(this).catch((error: unknown) => this.fail(error));
            await this.#open.promise;
            return this.#wire();
        } catch (error) {
            this.peer.close();
            throw error;
        } finally {
            clearTimeout(this.#timer);
            this.#outer.removeEventListener("abort", this.#onAbort);
            this.#over.abort();
        }
    }

    #wire(): Wire {
        const negotiated = this.peer.sctp?.maxMessageSize ?? defaultMaxMessageBytes;
        const peer = this.peer;
        const channel = this.#channel;
        const wire = new DataChannelWire(
            channel,
            Math.min(negotiated, maxMessageBytes),
            () => peer.close(),
            () => receivedBytes(peer),
        );
        watch(peer, () => wire.close("the network path is lost"));
        return wire;
    }
}

/** Whatever came from the peer but ICE's checks; 0 where the platform does not count. */
async function receivedBytes(peer: RTCPeerConnection): Promise<number> {
    let sum = 0;
    try {
        (await peer.getStats()).forEach((stats: { bytesReceived?: unknown; type: string }) => {
            const counts = stats.type === "transport" || stats.type === "candidate-pair";
            if (counts && typeof stats.bytesReceived === "number") {
                sum += stats.bytesReceived;
            }
        });
    } catch {
        // Outside of browsers not every implementation has statistics.
    }
    return sum;
}

/** Calls `lost` where the connection fails, or stays disconnected. */
function watch(peer: RTCPeerConnection, lost: () => void): void {
    let grace: ReturnType<typeof setTimeout> | undefined;
    peer.onconnectionstatechange = () => {
        clearTimeout(grace);
        if (peer.connectionState === "failed" || peer.connectionState === "closed") {
            lost();
        } else if (peer.connectionState === "disconnected") {
            grace = setTimeout(lost, disconnectedGraceMs);
        }
    };
}

async function relayThroughFront(attempt: Attempt): Promise<void> {
    const { peer, platform, route } = attempt;
    const early: RTCIceCandidateInit[] = [];
    let answered = false;
    const socket = platform.openWebSocket(route.signalingUrl ?? "");
    const handlers = {
        onAnswer: (sdp: string) => {
            void takeAnswer(sdp).catch((error: unknown) => attempt.fail(error));
        },
        onCandidate: (candidate: RTCIceCandidateInit) => {
            if (answered) {
                addCandidate(peer, candidate);
            } else {
                early.push(candidate);
            }
        },
        onFailure: (error: KollatorError) => attempt.fail(error),
    };
    async function takeAnswer(sdp: string): Promise<void> {
        if (!answered) {
            await peer.setRemoteDescription({ type: "answer", sdp });
            answered = true;
            early.splice(0).forEach((candidate) => addCandidate(peer, candidate));
        }
    }
    const signaling = await Signaling.open(socket, route.worker.id, handlers, attempt.signal);
    attempt.signal.addEventListener("abort", () => signaling.close());
    peer.onicecandidate = ({ candidate }) => {
        if (candidate !== null && candidate.candidate !== "") {
            signaling.sendCandidate(candidate.toJSON());
        }
    };
    const offer = await peer.createOffer();
    // In one turn, so that no candidate comes before the offer, nor the answer before this side
    // is ready for it.
    const ready = peer.setLocalDescription(offer);
    signaling.sendOffer(offer.sdp ?? "");
    await ready;
}

/** One that this browser cannot use (another address family, say) is no fault. */
function addCandidate(peer: RTCPeerConnection, candidate: RTCIceCandidateInit): void {
    peer.addIceCandidate(candidate).catch(() => {});
}

async function dialDirectly(attempt: Attempt): Promise<void> {
    const { peer, route } = attempt;
    const address = parseDirectAddress(route.directAddress ?? "");
    const offer = await peer.createOffer();
    await peer.setLocalDescription(offer);
    const offered = peer.localDescription?.sdp ?? offer.sdp ?? "";
    await peer.setRemoteDescription({ type: "answer", sdp: directAnswer(address, offered) });
}

async function exchangeByHttp(attempt: Attempt): Promise<void> {
    const { peer, platform, route } = attempt;
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer, attempt.signal);
    const response = await platform.fetch(new URL("/rtc", route.worker.url), {
        method: "POST",
        headers: { "Content-Type": "application/sdp" },
        body: peer.localDescription?.sdp ?? "",
        signal: attempt.signal,
    });
    if (!response.ok) {
        throw new KollatorError("no-worker", `the worker answered ${response.status}`);
    }
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
}

/** All candidates, or those that were found in time. */
async function gathered(peer: RTCPeerConnection, signal: AbortSignal): Promise<void> {
    if (peer.iceGatheringState === "complete") {
        return;
    }
    const done = deferred<void>();
    const timer = setTimeout(done.resolve, gatherTimeoutMs);
    peer.onicegatheringstatechange = () => {
        if (peer.iceGatheringState === "complete") {
            done.resolve();
        }
    };
    try {
        await abortable(done.promise, signal);
    } finally {
        clearTimeout(timer);
    }
}
