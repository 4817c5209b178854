import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Liveness, type LivenessStep, livenessLimits } from "./liveness.ts";

const { tickMs, probeAfterMs, lostAfterMs } = livenessLimits;
let nowMs: number;
let liveness: Liveness;

beforeEach(() => {
    nowMs = 1_763_800_000_000;
    liveness = new Liveness(livenessLimits);
    liveness.begin(nowMs);
});

function after(ms: number): LivenessStep {
    nowMs += ms;
    return liveness.look(nowMs);
}

/** The time that passes, tick by tick, until a look gives `step`. */
function until(step: LivenessStep): number {
    for (let passedMs = tickMs; passedMs < 60_000; passedMs += tickMs) {
        if (after(tickMs) === step) {
            return passedMs;
        }
    }
    return Infinity;
}

test("silence is probed, and then taken for the end", () => {
    assert.equal(until("probe"), probeAfterMs);
    assert.equal(until("lost"), lostAfterMs - probeAfterMs);
    assert.ok(lostAfterMs + tickMs <= 4000, "a second of the five is for reaching another worker");
});

test("any sign of life begins the silence anew", () => {
    for (let i = 0; i < 100; i++) {
        assert.notEqual(after(900), "lost");
        assert.notEqual(after(900), "lost");
        liveness.heard();
    }
    assert.equal(until("probe"), probeAfterMs);
});

test("a page that was held up does not take that for the worker's silence", () => {
    assert.equal(after(30_000), "none");
    liveness.heard(); // read only now
    assert.equal(after(tickMs), "none");
});

test("a clock that is set back does no harm", () => {
    assert.equal(after(-3_600_000), "none");
    assert.equal(until("probe"), probeAfterMs);
});
