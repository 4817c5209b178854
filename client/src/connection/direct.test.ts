import assert from "node:assert/strict";
import { test } from "node:test";

import { isKind } from "../errors.ts";
import { directAnswer, parseDirectAddress } from "./direct.ts";

const hash = "uEiAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw";
const text = `/ip4/192.0.2.1/udp/8081/webrtc-direct/certhash/${hash}`;
const offer = "v=0\r\na=ice-ufrag:Xp4q\r\na=ice-pwd:0123456789abcdefghijkl+/\r\na=mid:data\r\n";

test("reads a worker's direct address", () => {
    const address = parseDirectAddress(text);
    assert.equal(address.host, "192.0.2.1");
    assert.equal(address.port, 8081);
    assert.match(address.fingerprint, /^00:01:02:.*:1E:1F$/);
    const v6 = parseDirectAddress(text.replace("ip4/192.0.2.1", "ip6/2001:db8::1"));
    assert.equal(v6.family, "ip6");
});

test("refuses what is no such address", () => {
    const others = [
        "",
        "http://192.0.2.1:8081/",
        text.slice(0, -1),
        `${text}/p2p/x`,
        text.replace("ip4", "dns4"),
        text.replace("8081", "0"),
        text.replace("8081", "70000"),
        text.replace("uEi", "uFi"),
        text.replace("uEi", "bEi"),
    ];
    others.forEach((other) => {
        assert.throws(() => parseDirectAddress(other), (error) => isKind(error, "no-worker"), other);
    });
});

test("makes the answer from the offer's password", () => {
    const lines = directAnswer(parseDirectAddress(text), offer).split("\r\n");
    const both = "kollator+webrtc+v1/0123456789abcdefghijkl+/";
    for (const line of [
        `a=ice-ufrag:${both}`,
        `a=ice-pwd:${both}`,
        "a=mid:data",
        "a=group:BUNDLE data",
        "a=setup:passive",
        "m=application 8081 UDP/DTLS/SCTP webrtc-datachannel",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 8081 typ host",
    ]) {
        assert.ok(lines.includes(line), line);
    }
});

test("needs a password in the offer", () => {
    const broken = offer.replace("a=ice-pwd", "a=other");
    assert.throws(() => directAnswer(parseDirectAddress(text), broken), (error) => isKind(error, "no-worker"));
});
