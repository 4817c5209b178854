import assert from "node:assert/strict";
import { test } from "node:test";

import { RateMeter } from "./rate_meter.ts";

test("tells nothing before half a second has passed", () => {
    const meter = new RateMeter();
    meter.add(0, 0);
    meter.add(1_000_000, 400);
    assert.equal(meter.bytesPerSecond(), undefined);
});

test("tells the rate of the last seconds, not of the whole", () => {
    const meter = new RateMeter();
    let bytes = 0;
    for (let ms = 0; ms <= 10_000; ms += 250) {
        meter.add(bytes, ms);
        bytes += 1_000_000;
    }
    assert.ok(Math.abs(meter.bytesPerSecond()! - 4_000_000) < 1);
    for (let ms = 10_250; ms <= 20_000; ms += 250) {
        meter.add(bytes, ms);
        bytes += 100_000;
    }
    assert.ok(Math.abs(meter.bytesPerSecond()! - 400_000) < 1);
});

test("begins again where the sum falls, as after a lost connection", () => {
    const meter = new RateMeter();
    meter.add(5_000_000, 0);
    meter.add(6_000_000, 1000);
    meter.add(2_000_000, 2000);
    assert.equal(meter.bytesPerSecond(), undefined);
    meter.add(2_500_000, 3000);
    assert.equal(meter.bytesPerSecond(), 500_000);
});
