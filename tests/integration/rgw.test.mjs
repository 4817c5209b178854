// The S3 server of the tests is itself tested: what it refuses, other tests rely on.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";

import { startRgw } from "../support/rgw.mjs";
import { s3, signedHeaders } from "../support/sigv4.mjs";

const body = randomBytes(100_000);
const key = `chunks/${createHash("sha256").update(body).digest("hex")}`;
let rgw;

before(async () => {
    rgw = await startRgw();
});

after(() => rgw?.stop());

test("the signer gives the signature printed in AWS's documentation", () => {
    const headers = signedHeaders({
        method: "GET",
        url: new URL("https://examplebucket.s3.amazonaws.com/test.txt"),
        headers: { Range: "bytes=0-9" },
        accessKey: "AKIAIOSFODNN7EXAMPLE",
        secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        payloadHash: createHash("sha256").digest("hex"),
        now: new Date("2013-05-24T00:00:00Z"),
    });
    assert.match(
        headers.authorization,
        /Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41$/,
    );
});

test("an object that was put can be got, whole and in part", async () => {
    assert.equal((await s3(rgw, { method: "PUT", key, body })).status, 200);
    const whole = await s3(rgw, { key });
    assert.equal(whole.status, 200);
    assert.deepEqual(Buffer.from(await whole.arrayBuffer()), body);
    const part = await s3(rgw, { key, headers: { Range: "bytes=10-19" } });
    assert.equal(part.status, 206);
    assert.deepEqual(Buffer.from(await part.arrayBuffer()), body.subarray(10, 20));
});

test("a listing names the object", async () => {
    const listing = await s3(rgw, { query: { "list-type": "2", prefix: "chunks/" } });
    assert.equal(listing.status, 200);
    assert.match(await listing.text(), new RegExp(`<Key>${key}</Key>`));
});

test("a wrong secret is refused", async () => {
    const answer = await s3({ ...rgw, secretKey: "wrong" }, { key });
    assert.equal(answer.status, 403);
    assert.match(await answer.text(), /SignatureDoesNotMatch/);
});

test("bytes that do not match the signed payload hash are refused and not stored", async () => {
    const payloadHash = createHash("sha256").update("something else").digest("hex");
    const put = await s3(rgw, { method: "PUT", key: "corrupt", body, payloadHash });
    assert.equal(put.status, 400);
    assert.match(await put.text(), /XAmzContentSHA256Mismatch/);
    assert.equal((await s3(rgw, { key: "corrupt" })).status, 404);
});

test("If-None-Match refuses to overwrite", async () => {
    const request = { method: "PUT", key: "once", body, headers: { "If-None-Match": "*" } };
    assert.equal((await s3(rgw, request)).status, 200);
    assert.equal((await s3(rgw, request)).status, 412);
});

test("a killed gateway refuses connections and keeps its objects over a restart", async () => {
    await s3(rgw, { method: "PUT", key, body });
    await rgw.kill();
    await assert.rejects(s3(rgw, { key }));
    await rgw.restart();
    const got = await s3(rgw, { key });
    assert.deepEqual(Buffer.from(await got.arrayBuffer()), body);
});

test("a paused gateway answers nothing until it is resumed", async () => {
    await s3(rgw, { method: "PUT", key, body });
    await rgw.pause();
    const impatient = s3(rgw, { key, signal: AbortSignal.timeout(500) });
    await assert.rejects(impatient, { name: "TimeoutError" });
    await rgw.resume();
    assert.equal((await s3(rgw, { key })).status, 200);
});

test("past its limit of concurrent requests the gateway says SlowDown", async () => {
    const busy = await startRgw({ maxConcurrentRequests: 1 });
    try {
        const large = randomBytes(2_000_000);
        const puts = Array.from({ length: 16 }, (_, i) =>
            s3(busy, { method: "PUT", key: `load/${i}`, body: large }),
        );
        const answers = await Promise.all(puts);
        const refused = answers.filter((answer) => answer.status === 503);
        assert.ok(refused.length > 0, answers.map((answer) => answer.status).join(" "));
        assert.match(await refused[0].text(), /SlowDown/);
    } finally {
        await busy.stop();
    }
});
