import assert from "node:assert/strict";
import { test } from "node:test";

import { formatLink, parseLink } from "./link.ts";

const digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const infoHash = Uint8Array.from(Buffer.from(digits, "hex"));

test("a link leads back to what it was made of, whatever the name", () => {
    for (const name of ["", "holiday.zip", "a b/c#d?e.txt", "größe 100%.bin", "😀"]) {
        const link = formatLink("https://front.example/", { infoHash, name });
        assert.ok(link.startsWith(`https://front.example/#${digits}`));
        assert.deepEqual(parseLink(link), { infoHash, name });
    }
});

test("a fragment or the bare digits are taken, in either case", () => {
    for (const text of [`#${digits}`, digits, digits.toUpperCase(), ` ${digits} `]) {
        assert.deepEqual(parseLink(text), { infoHash, name: "" });
    }
});

test("what is no link is not taken for one", () => {
    const texts = ["", "#", "#about", digits.slice(1), `${digits}0`, `${digits.slice(1)}x`, "http://x/"];
    for (const text of texts) {
        assert.equal(parseLink(text), undefined, text);
    }
});

test("a name that is no percent-encoded UTF-8 is left out", () => {
    assert.deepEqual(parseLink(`${digits}/%E0%A4%A`), { infoHash, name: "" });
});
