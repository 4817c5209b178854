import assert from "node:assert/strict";
import { test } from "node:test";

import { formatBytes, formatTimeLeft, markOf, safeFileName, wholePercent } from "./format.ts";

test("sizes are in decimal units, with as many digits as are worth reading", () => {
    const samples: [number, string][] = [
        [0, "0 bytes"], [1, "1 byte"], [999, "999 bytes"], [1000, "1.0 kB"], [1500, "1.5 kB"],
        [99_949, "99.9 kB"], [99_951, "100 kB"], [999_500, "1.0 MB"], [5_242_880, "5.2 MB"],
        [200_000_000, "200 MB"], [1e9, "1.0 GB"], [1.5e12, "1.5 TB"], [4e15, "4000 TB"],
    ];
    for (const [bytes, text] of samples) {
        assert.equal(formatBytes(bytes), text);
    }
});

test("the time left is coarser the longer it is", () => {
    const samples: [number, string][] = [
        [0, "about a second left"], [1.4, "about a second left"], [2.2, "3 s left"],
        [11, "15 s left"], [54, "55 s left"], [56, "1 min left"], [59, "1 min left"],
        [150, "3 min left"], [3600, "1 h 0 min left"], [5400, "1 h 30 min left"],
        [200_000, "2 days left"],
    ];
    for (const [seconds, text] of samples) {
        assert.equal(formatTimeLeft(seconds), text);
    }
});

test("100 percent means all of it", () => {
    assert.equal(wholePercent(999_999, 1_000_000), 99);
    assert.equal(wholePercent(1_000_000, 1_000_000), 100);
    assert.equal(wholePercent(0, 0), 100);
});

test("a file's mark is its extension", () => {
    assert.equal(markOf("holiday.zip"), "ZIP");
    assert.equal(markOf("archive.tar.gz"), "GZ");
    assert.equal(markOf("README"), "FILE");
    assert.equal(markOf("a.verylong"), "FILE");
});

test("a stranger's file name cannot name a path or hide its ending", () => {
    assert.equal(safeFileName("../../etc/passwd"), "_.._etc_passwd");
    assert.equal(safeFileName("a\u202egnp.exe"), "a_gnp.exe");
    assert.equal(safeFileName("c:\\windows"), "c__windows");
    assert.equal(safeFileName(".."), "download");
    assert.equal(safeFileName(""), "download");
    assert.equal(safeFileName("Grüße 😀.pdf"), "Grüße 😀.pdf");
    assert.equal(safeFileName("x".repeat(500)).length, 200);
});
