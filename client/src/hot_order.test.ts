import assert from "node:assert/strict";
import { test } from "node:test";

import { HotOrder, type Turn } from "./hot_order.ts";

const policy = { maxNames: 4, everyMs: 1000, atMostEveryMs: 8000 };

function takeAll(order: HotOrder): Turn[] {
    const turns: Turn[] = [];
    for (let turn = order.next(); turn !== undefined; turn = order.next()) {
        turns.push(turn);
    }
    return turns;
}

test("without hints chunks go in file order", () => {
    assert.deepEqual(
        takeAll(new HotOrder(3)),
        [0, 1, 2].map((index) => ({ index, hinted: false })),
    );
    assert.deepEqual(takeAll(new HotOrder(0)), []);
});

test("resident chunks go first, each once", () => {
    const order = new HotOrder(6, policy);
    assert.deepEqual(order.next(), { index: 0, hinted: false });
    order.told([1, 2, 3, 4], [false, true, false, true]);
    assert.deepEqual(
        takeAll(order).map(({ index }) => index),
        [2, 4, 1, 3, 5],
    );
});

test("a later answer replaces what it asked about, and adds to the rest", () => {
    const order = new HotOrder(8, policy);
    order.told([0, 1, 2, 3], [true, true, false, false]);
    order.told([4, 5, 6, 7], [false, false, true, false]);
    order.told([0, 1, 2, 3], [false, true, false, true]);
    assert.deepEqual(
        takeAll(order).filter(({ hinted }) => hinted).map(({ index }) => index),
        [1, 3, 6],
    );
});

test("questions are bounded in size, and go through a large file part by part", () => {
    const order = new HotOrder(10, policy);
    assert.deepEqual(order.question(0), [0, 1, 2, 3]);
    assert.deepEqual(order.question(1000), [4, 5, 6, 7]);
    assert.deepEqual(order.question(2000), [8, 9]);
    assert.deepEqual(order.question(3000), [0, 1, 2, 3]);
});

test("questions that find nothing come less and less often, and often again when one does", () => {
    const order = new HotOrder(4, policy);
    const asked: number[] = [];
    for (let now = 0; now <= 40_000; now += 250) {
        const question = order.question(now);
        if (question.length > 0) {
            asked.push(now);
            order.told(question, question.map(() => false));
        }
    }
    assert.deepEqual(asked, [0, 2000, 6000, 14_000, 22_000, 30_000, 38_000]);
    const late = order.question(46_000);
    order.told(late, late.map((index) => index === 3));
    assert.deepEqual(order.question(46_999), []);
    assert.equal(order.question(47_000).length, 4);
});

test("nobody is asked about the last chunk", () => {
    const order = new HotOrder(2, policy);
    order.next();
    assert.deepEqual(order.question(0), []);
});
