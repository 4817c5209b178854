import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeText, encodeText } from "../protocol/bytes.ts";
import {
    type Bencoded,
    MalformedBencoding,
    decodeBencode,
    encodeBencode,
    keyOf,
} from "./bencode.ts";

const samples: [text: string, value: Bencoded][] = [
    ["i0e", 0],
    ["i-42e", -42],
    ["i9007199254740991e", Number.MAX_SAFE_INTEGER],
    ["0:", encodeText("")],
    ["4:spam", encodeText("spam")],
    ["le", []],
    ["l4:spami7ee", [encodeText("spam"), 7]],
    ["de", new Map()],
    ["d3:bar4:spam3:fooi42ee", new Map<string, Bencoded>([["foo", 42], ["bar", encodeText("spam")]])],
];

for (const [text, value] of samples) {
    test(`encodes and decodes ${text}`, () => {
        assert.equal(decodeText(encodeBencode(value)), text);
        assert.equal(decodeText(encodeBencode(decodeBencode(encodeText(text)).value)), text);
    });
}

const malformed = [
    "", "i", "ie", "i-e", "i-0e", "i01e", "i1", "i 1e", "i9007199254740992e", "1", "1:", "-1:a",
    "01:a", "2:a", "l", "li1e", "d", "d1:a", "d1:ae", "di1ei2ee", "d1:bi1e1:ai2ee",
    "d1:ai1e1:ai2ee", "i1ei2e", "x", "99999999999999999999:a", `${"l".repeat(100)}${"e".repeat(100)}`,
];

for (const text of malformed) {
    test(`refuses ${JSON.stringify(text.slice(0, 30))}`, () => {
        assert.throws(() => decodeBencode(encodeText(text)), MalformedBencoding);
    });
}

test("keys are sorted by their bytes, also past ASCII", () => {
    const value = new Map<string, Bencoded>([[keyOf("é"), 1], [keyOf("z"), 2], [keyOf("a"), 3]]);
    assert.equal(decodeText(encodeBencode(value)), "d1:ai3e1:zi2e2:éi1ee");
});

test("gives the bytes of the values of the first level as they stood", () => {
    const { rawValues } = decodeBencode(encodeText("d4:infod1:ai1ee4:resti2ee"));
    assert.equal(decodeText(rawValues.get("info") ?? new Uint8Array()), "d1:ai1ee");
    assert.equal(rawValues.size, 2);
});
