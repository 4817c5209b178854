import assert from "node:assert/strict";
import { test } from "node:test";

import { type ErrorKind, KollatorError } from "../../client/src/errors.ts";
import { wordsForFailure, wordsForTrouble } from "./words.ts";

const kinds: Record<ErrorKind, true> = {
    "bad-request": true,
    "not-found": true,
    "too-large": true,
    "hash-mismatch": true,
    busy: true,
    unavailable: true,
    unauthorized: true,
    unsupported: true,
    cancelled: true,
    internal: true,
    quota: true,
    refused: true,
    corrupt: true,
    protocol: true,
    timeout: true,
    "connection-lost": true,
    "no-worker": true,
    "front-unreachable": true,
    source: true,
};

test("every kind of failure has words of its own that end in what to do", () => {
    const fallback = wordsForFailure(new Error("x"), "upload");
    for (const kind of Object.keys(kinds) as ErrorKind[]) {
        const error = new KollatorError(kind, "internal detail");
        for (const words of [
            wordsForTrouble(error),
            wordsForFailure(error, "upload"),
            wordsForFailure(error, "download"),
        ]) {
            assert.match(words, /^[A-Z].*\. .*\.$/s, kind);
            assert.notEqual(words, fallback, kind);
            assert.doesNotMatch(words, /internal detail|undefined|Something/, kind);
        }
    }
});

test("a full disk is told as such", () => {
    const error = new DOMException("x", "QuotaExceededError");
    assert.match(wordsForFailure(error, "download"), /room on this device/);
});
