import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { encodeText, toHex } from "../protocol/bytes.ts";
import { sha256 } from "./sha256.ts";

const published: [text: string, digest: string][] = [
    ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ],
    ["a".repeat(1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"],
];

for (const [text, digest] of published) {
    test(`gives NIST's digest of ${text.length} bytes`, () => {
        assert.equal(toHex(sha256(encodeText(text))), digest);
    });
}

test("agrees with OpenSSL on each length around the block boundaries", () => {
    for (let length = 0; length <= 200; length++) {
        const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + length) & 0xff);
        assert.equal(toHex(sha256(bytes)), createHash("sha256").update(bytes).digest("hex"));
    }
});
