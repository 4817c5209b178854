// S3 requests for tests, signed by AWS Signature Version 4 with Node's own crypto: an independent
// second implementation beside the worker's.

import { createHash, createHmac } from "node:crypto";

const sha256 = (data) => createHash("sha256").update(data).digest("hex");
const hmac = (key, data) => createHmac("sha256", key).update(data).digest();

/** Escapes as SigV4 wants it: everything but A-Z a-z 0-9 - _ . ~ */
const escape = (text) =>
    encodeURIComponent(text).replace(
        /[!'()*]/g,
        (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
    );

/**
 * The headers of a signed request, `host` aside (fetch sets that itself).
 *
 * @param {{method: string, url: URL, accessKey: string, secretKey: string, region: string,
 *          payloadHash: string, headers?: Record<string, string>, now?: Date}} request
 */
export function signedHeaders(request) {
    const stamp = (request.now ?? new Date()).toISOString().replace(/[-:]|\.\d+/g, "");
    const scope = `${stamp.slice(0, 8)}/${request.region}/s3/aws4_request`;
    const extra = Object.entries(request.headers ?? {});
    const headers = new Map([
        ...extra.map(([name, value]) => [name.toLowerCase(), value.trim()]),
        ["host", request.url.host],
        ["x-amz-content-sha256", request.payloadHash],
        ["x-amz-date", stamp],
    ]);
    const names = [...headers.keys()].sort();
    const query = [...request.url.searchParams]
        .map(([name, value]) => `${escape(name)}=${escape(value)}`)
        .sort()
        .join("&");
    const canonical = [
        request.method,
        request.url.pathname.split("/").map((part) => escape(decodeURIComponent(part))).join("/"),
        query,
        ...names.map((name) => `${name}:${headers.get(name)}`),
        "",
        names.join(";"),
        request.payloadHash,
    ].join("\n");
    const key = scope.split("/").reduce(hmac, `AWS4${request.secretKey}`);
    const signature = hmac(
        key,
        ["AWS4-HMAC-SHA256", stamp, scope, sha256(canonical)].join("\n"),
    ).toString("hex");
    headers.delete("host");
    headers.set(
        "authorization",
        `AWS4-HMAC-SHA256 Credential=${request.accessKey}/${scope}, ` +
            `SignedHeaders=${names.join(";")}, Signature=${signature}`,
    );
    return Object.fromEntries(headers);
}

/**
 * One request to a bucket; `key` and `query` need no escaping.
 *
 * @param {{endpoint: string, bucket: string, accessKey: string, secretKey: string,
 *          region: string}} server what startRgw() resolves to
 * @param {{method?: string, key?: string, query?: Record<string, string>, body?: Uint8Array,
 *          headers?: Record<string, string>, payloadHash?: string, signal?: AbortSignal}} request
 * @returns {Promise<Response>}
 */
export function s3(server, request) {
    const method = request.method ?? "GET";
    const path = (request.key ?? "").split("/").map(escape).join("/");
    const url = new URL(`/${server.bucket}/${path}`, server.endpoint);
    for (const [name, value] of Object.entries(request.query ?? {})) {
        url.searchParams.set(name, value);
    }
    const payloadHash = request.payloadHash ?? sha256(request.body ?? "");
    const headers = signedHeaders({ ...server, ...request, method, url, payloadHash });
    return fetch(url, { method, headers, body: request.body, signal: request.signal });
}
