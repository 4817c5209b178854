/** Direct dial (docs/protocol.md 1.3): a worker's answer, made from its address alone. */
import { KollatorError } from "../errors.ts";
import { hashBytes, maxMessageBytes } from "../protocol/constants.ts";

/** "/ip4/192.0.2.1/udp/8081/webrtc-direct/certhash/uEi…" */
export interface DirectAddress {
    family: "ip4" | "ip6";
    host: string;
    port: number;
    /** SHA-256 of the worker's certificate, as SDP has it: "AB:CD:…" */
    fingerprint: string;
}

const pattern = /^\/(ip4|ip6)\/([0-9a-fA-F.:]+)\/udp\/(\d{1,5})\/webrtc-direct\/certhash\/u([\w-]+)$/;
/** Multihash: the code of sha2-256 and its length. */
const multihashHead = [0x12, hashBytes];
/** The worker finds in it, behind its prefix, the password of the client's check. */
const credentialPrefix = "kollator+webrtc+v1/";

export function parseDirectAddress(text: string): DirectAddress {
    const [, family, host, port, hash] = pattern.exec(text) ?? [];
    const multihash = fromBase64Url(hash ?? "");
    const isSha256 =
        multihash?.length === multihashHead.length + hashBytes &&
        multihashHead.every((byte, i) => multihash[i] === byte);
    const portNumber = Number(port);
    if (host === undefined || !isSha256 || portNumber < 1 || portNumber > 65_535) {
        throw new KollatorError("no-worker", `"${text}" is no direct address of a worker`);
    }
    const digits = multihash
        .slice(multihashHead.length)
        .map((byte) => byte.toString(16).padStart(2, "0").toUpperCase());
    return {
        family: family === "ip6" ? "ip6" : "ip4",
        host,
        port: portNumber,
        fingerprint: digits.join(":"),
    };
}

/** What the worker at `address` would answer to `offerSdp`. */
export function directAnswer(address: DirectAddress, offerSdp: string): string {
    const password = attribute(offerSdp, "ice-pwd");
    const mid = attribute(offerSdp, "mid");
    if (password === undefined) {
        throw new KollatorError("no-worker", "the offer has no a=ice-pwd");
    }
    const { host, port } = address;
    return [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        ...(mid === undefined ? [] : [`a=group:BUNDLE ${mid}`]),
        `m=application ${port} UDP/DTLS/SCTP webrtc-datachannel`,
        `c=IN ${address.family.toUpperCase()} ${host}`,
        ...(mid === undefined ? [] : [`a=mid:${mid}`]),
        `a=ice-ufrag:${credentialPrefix}${password}`,
        `a=ice-pwd:${credentialPrefix}${password}`,
        `a=fingerprint:sha-256 ${address.fingerprint}`,
        "a=setup:passive",
        "a=sctp-port:5000",
        `a=max-message-size:${maxMessageBytes}`,
        `a=candidate:1 1 udp 2130706431 ${host} ${port} typ host`,
        "a=end-of-candidates",
        "",
    ].join("\r\n");
}

function attribute(sdp: string, name: string): string | undefined {
    return new RegExp(`^a=${name}:(\\S+)`, "m").exec(sdp)?.[1];
}

function fromBase64Url(text: string): number[] | undefined {
    try {
        const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
        return Array.from(plain, (character) => character.charCodeAt(0));
    } catch {
        return undefined;
    }
}
