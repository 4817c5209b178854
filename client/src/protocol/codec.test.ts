/** The golden vectors that the C++ codec passes too (tests/vectors). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import * as bodies from "./bodies.ts";
import { type Bytes, decodeText, fromHex, toHex } from "./bytes.ts";
import { type Body, decodeAny } from "./decode.ts";
import { MalformedMessage, encodeMessage } from "./message.ts";

interface MessageVector {
    name: string;
    type: number;
    flags: number;
    requestId: number;
    hex: string;
    fields: Record<string, unknown>;
}

interface MalformedVector {
    name: string;
    hex: string;
    code: number;
}

function vectors<T extends { hex: string }>(file: string): T[] {
    const root = process.env["KOLLATOR_SOURCE_DIR"] ?? process.cwd();
    const all = JSON.parse(readFileSync(join(root, "tests/vectors", file), "utf8")) as T[];
    // AUTH is between workers; a client neither sends nor takes it.
    return all.filter(({ hex }) => hex.slice(0, 2) !== "0a" || hex.slice(2, 4) === "88");
}

function bytesOf(hex: string): Bytes {
    const bytes = fromHex(hex);
    assert.ok(bytes);
    return bytes;
}

/** A decoded body in the words of the vectors. */
function fieldsOf(body: Body): Record<string, unknown> {
    switch (body.kind) {
        case "error":
            return { ...body.error };
        case "range":
            return { ...body.range, hash: toHex(body.range.hash) };
        case "fragment":
            return { ...body.fragment, data: toHex(body.fragment.data) };
        case "store": {
            const { hash, data, total, offset } = body.store;
            return { hash: toHex(hash), total, offset, data: toHex(data) };
        }
        case "stored":
            return { status: body.stored.alreadyThere ? 1 : 0, durability: body.stored.durability };
        case "list":
            return { ...body.list, after: toHex(body.list.after) };
        case "listed":
            return {
                more: body.listed.more ? 1 : 0,
                entries: body.listed.entries.map(({ hash, sizeBytes }) => ({
                    hash: toHex(hash),
                    size: sizeBytes,
                })),
            };
        case "names":
            return { hashes: body.names.map(toHex), ...(body.knownOnly ? { scope: 1 } : {}) };
        case "accepted":
            return { accepted: body.accepted };
        case "lookup":
            return { hash: toHex(body.hash) };
        case "stats":
            return {
                entries: body.stats.map(({ sizeBytes, residency }) => ({
                    size: sizeBytes,
                    residency,
                })),
            };
        case "peers":
            return { peers: body.peers.map(({ address, port }) => ({ address: toHex(address), port })) };
        case "empty":
        case "hello":
        case "health":
            return {};
    }
}

/** The body encoded again; undefined for JSON, whose text is not ours to repeat. */
function encodeAgain(body: Body): Bytes | undefined {
    switch (body.kind) {
        case "error":
            return bodies.encodeError(body.error);
        case "range":
            return bodies.encodeRangeRequest(body.range);
        case "fragment":
            return bodies.encodeFragment(body.fragment);
        case "store":
            return bodies.encodeStoreFragment(body.store);
        case "stored":
            return bodies.encodeStoreAnswer(body.stored);
        case "list":
            return bodies.encodeListRequest(body.list);
        case "listed":
            return bodies.encodeListAnswer(body.listed);
        case "names":
            return body.knownOnly === undefined
                ? bodies.encodeNames(body.names)
                : bodies.encodeStatRequest({ names: body.names, knownOnly: body.knownOnly });
        case "accepted":
            return bodies.encodeAnnounceAnswer(body.accepted);
        case "lookup":
            return bodies.encodeLookupRequest(body.hash);
        case "peers":
            return bodies.encodeLookupAnswer(body.peers);
        case "stats":
            return bodies.encodeStatAnswer(body.stats);
        case "empty":
            return new Uint8Array();
        case "hello":
        case "health":
            return undefined;
    }
}

for (const vector of vectors<MessageVector>("messages.json")) {
    test(`decodes and encodes again: ${vector.name}`, () => {
        const { message, body } = decodeAny(bytesOf(vector.hex));
        assert.equal(message.type, vector.type);
        assert.equal(message.flags, vector.flags);
        assert.equal(message.requestId, vector.requestId);
        const { json, infohash, ...fields } = vector.fields;
        if (json !== undefined) {
            assert.equal(decodeText(message.body), json);
        } else if (body.kind === "peers") {
            assert.equal(body.peers.length, (fields["peers"] as unknown[]).length);
        } else {
            const expected = infohash === undefined ? fields : { hash: infohash, ...fields };
            assert.deepEqual(fieldsOf(body), expected);
        }
        const again = encodeAgain(body);
        if (again !== undefined) {
            assert.equal(toHex(encodeMessage(message, again)), vector.hex);
        }
    });

    test(`survives being cut short: ${vector.name}`, () => {
        const bytes = bytesOf(vector.hex).slice(0, 4096);
        for (let length = 0; length < bytes.length; length++) {
            try {
                decodeAny(bytes.subarray(0, length));
            } catch (error) {
                assert.ok(error instanceof MalformedMessage, String(error));
            }
        }
    });
}

for (const vector of vectors<MalformedVector>("malformed.json")) {
    test(`refuses: ${vector.name}`, () => {
        assert.throws(
            () => decodeAny(bytesOf(vector.hex)),
            (error) => error instanceof MalformedMessage && error.code === vector.code,
        );
    });
}

test("an unknown error of a known form is taken", () => {
    const { body } = decodeAny(bytesOf("0188000000010063000000006f68"));
    assert.deepEqual(body, { kind: "error", error: { code: 99, retryAfterMs: 0, message: "oh" } });
});
