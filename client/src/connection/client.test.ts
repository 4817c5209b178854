import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { FakeNetwork } from "../../testing/fake_platform.ts";
import { FakeWorker } from "../../testing/fake_worker.ts";
import { type ErrorKind, type KollatorError, isKind } from "../errors.ts";
import { ErrorCode, MessageType } from "../protocol/constants.ts";
import { type ClientOptions, type ConnectionState, KollatorClient } from "./client.ts";

let client: KollatorClient | undefined;
let states: ConnectionState[] = [];

function clientOf(network: FakeNetwork, options: Partial<ClientOptions> = {}): KollatorClient {
    states = [];
    client = new KollatorClient({
        frontUrl: "http://front/",
        platform: network.platform(),
        giveUpAfterMs: 3000,
        onState: (state) => states.push(state),
        ...options,
    });
    return client;
}

afterEach(() => client?.close());

function ofKind(kind: ErrorKind): (error: unknown) => boolean {
    return (error) => isKind(error, kind);
}

const ask = (owner: KollatorClient): Promise<unknown> => owner.run((session) => session.health());

test("reaches the worker through the front's relay, its candidates after the offer", async () => {
    const network = new FakeNetwork(new FakeWorker());
    await ask(clientOf(network));
    assert.deepEqual(network.log, ["bootstrap", "relay worker-001"]);
    assert.equal(network.candidates.length, 1);
    assert.deepEqual(states.map(({ name }) => name), ["connecting", "connected"]);
});

test("falls back to POST /rtc where the relay fails", async () => {
    const network = new FakeNetwork(new FakeWorker());
    network.relayIsUp = false;
    await ask(clientOf(network));
    assert.deepEqual(network.log, ["bootstrap", "rtc worker-001"]);
});

test("falls back to the next worker where one cannot be reached", async () => {
    const network = new FakeNetwork(new FakeWorker("a"), new FakeWorker("b"));
    const find = network.worker.bind(network);
    network.worker = (id) => (id === "a" ? undefined : find(id));
    await ask(clientOf(network));
    assert.deepEqual(network.log, ["bootstrap", "relay a", "rtc a", "relay b"]);
});

test("a worker's address alone is enough", async () => {
    const network = new FakeNetwork(new FakeWorker("a"));
    const options = { platform: network.platform(), workerUrl: "http://a/" };
    client = new KollatorClient(options);
    await ask(client);
    assert.deepEqual(network.log, ["rtc a"]);
});

test("a worker's direct address needs no signaling", async () => {
    const network = new FakeNetwork(new FakeWorker("192.0.2.1"));
    const workerAddress =
        "/ip4/192.0.2.1/udp/8081/webrtc-direct/certhash/" +
        "uEiAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw";
    client = new KollatorClient({ platform: network.platform(), workerAddress });
    await ask(client);
    assert.deepEqual(network.log, ["dial 192.0.2.1"]);
});

test("a connection that fails, or is closed before it is there, is not waited for", async () => {
    for (const pathEndsAs of ["failed", "closed"]) {
        const network = new FakeNetwork(new FakeWorker("worker-001"));
        network.pathEndsAs = pathEndsAs;
        network.relayIsUp = false;
        const failure = await new Promise<KollatorError>((resolve) => {
            const onState = (state: ConnectionState): void => {
                if (state.name === "offline") {
                    resolve(state.error);
                }
            };
            clientOf(network, { connectTimeoutMs: 60_000, onState }).start();
        });
        assert.equal(failure.message, "no network path to the worker");
        client?.close();
    }
});

test("a lost connection is replaced, by another worker first, and the request repeated", async () => {
    const [a, b] = [new FakeWorker("a"), new FakeWorker("b")];
    const network = new FakeNetwork(a, b);
    const owner = clientOf(network);
    await ask(owner);
    a.misbehave = ({ message }) =>
        message.type === MessageType.healthCheck ? "hang-up" : undefined;
    await ask(owner);
    assert.deepEqual(network.log, ["bootstrap", "relay a", "bootstrap", "relay b"]);
});

test("what is busy is asked again after the time it gave", async () => {
    const worker = new FakeWorker();
    let refusals = 2;
    worker.misbehave = ({ message }) =>
        message.type === MessageType.healthCheck && refusals-- > 0
            ? { code: ErrorCode.busy, retryAfterMs: 20 }
            : undefined;
    const troubles: string[] = [];
    const owner = clientOf(new FakeNetwork(worker));
    await owner.run((session) => session.health(), {
        onTrouble: (error) => troubles.push(error.kind),
    });
    assert.deepEqual(troubles, ["busy", "busy"]);
});

test("what cannot pass is not repeated", async () => {
    const worker = new FakeWorker();
    worker.misbehave = ({ message }) =>
        message.type === MessageType.healthCheck ? { code: ErrorCode.quota } : undefined;
    await assert.rejects(ask(clientOf(new FakeNetwork(worker))), ofKind("quota"));
    assert.equal(worker.seen.filter((type) => type === MessageType.healthCheck).length, 1);
});

test("without a front or a worker a task gives up, and says what was missing", async () => {
    const network = new FakeNetwork();
    await assert.rejects(ask(clientOf(network, { giveUpAfterMs: 50 })), ofKind("no-worker"));
    network.frontIsUp = false;
    client?.close();
    await assert.rejects(ask(clientOf(network, { giveUpAfterMs: 50 })), ofKind("front-unreachable"));
    assert.ok(states.some((state) => state.name === "offline" && state.retryInMs > 0));
});

test("waits for a worker to come, and retryNow() ends the pause", async () => {
    const network = new FakeNetwork();
    const owner = clientOf(network, {
        giveUpAfterMs: Infinity,
        onState: ({ name }) => {
            if (name === "offline") {
                network.workers.push(new FakeWorker());
                setImmediate(() => owner.retryNow());
            }
        },
    });
    await ask(owner);
});

test("an abort ends the wait for a connection, and close() ends everything", async () => {
    const owner = clientOf(new FakeNetwork(), { giveUpAfterMs: Infinity });
    const controller = new AbortController();
    const waiting = owner.run((session) => session.health(), { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(waiting, { message: "enough" });
    const other = ask(owner);
    owner.close();
    await assert.rejects(other, ofKind("connection-lost"));
    assert.equal(states.at(-1)?.name, "closed");
});
