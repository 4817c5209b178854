/**
 * SHA-256 in plain TypeScript (FIPS 180-4), for pages that have no crypto.subtle: a browser offers
 * it only in a secure context, and a page served over plain http from another machine is none.
 * About a fifth of the speed of WebCrypto.
 */
import type { Bytes } from "../protocol/bytes.ts";

const roundConstants = firstPrimes(64).map((prime) => fractionBits(Math.cbrt(prime)));
const initialState = firstPrimes(8).map((prime) => fractionBits(Math.sqrt(prime)));
const schedule = new Int32Array(64);
const constants = Int32Array.from(roundConstants);

const blockBytes = 64;

export function sha256(bytes: Uint8Array): Bytes {
    const state = Int32Array.from(initialState);
    const whole = bytes.length - (bytes.length % blockBytes);
    for (let offset = 0; offset < whole; offset += blockBytes) {
        compress(state, bytes, offset);
    }
    const tail = padded(bytes.subarray(whole), bytes.length);
    for (let offset = 0; offset < tail.length; offset += blockBytes) {
        compress(state, tail, offset);
    }
    const digest = new Uint8Array(32);
    const view = new DataView(digest.buffer);
    state.forEach((word, i) => view.setInt32(4 * i, word));
    return digest;
}

/** FIPS 180-4, 5.1.1: a one bit, zeros, and the length in bits as 64 bits. */
function padded(rest: Uint8Array, totalBytes: number): Uint8Array {
    const blocks = rest.length + 9 > blockBytes ? 2 : 1;
    const tail = new Uint8Array(blocks * blockBytes);
    tail.set(rest);
    tail[rest.length] = 0x80;
    const view = new DataView(tail.buffer);
    view.setUint32(tail.length - 8, Math.floor(totalBytes / 2 ** 29));
    view.setUint32(tail.length - 4, (totalBytes * 8) >>> 0);
    return tail;
}

/** FIPS 180-4, 6.2.2, with its names of the variables. `!`: all indices are below 64. */
function compress(state: Int32Array, bytes: Uint8Array, offset: number): void {
    const w = schedule;
    for (let t = 0, at = offset; t < 16; t++, at += 4) {
        w[t] =
            (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    }
    for (let t = 16; t < 64; t++) {
        const x = w[t - 15]!;
        const y = w[t - 2]!;
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        w[t] = (((s0 + w[t - 16]!) | 0) + ((s1 + w[t - 7]!) | 0)) | 0;
    }
    let a = state[0]!;
    let b = state[1]!;
    let c = state[2]!;
    let d = state[3]!;
    let e = state[4]!;
    let f = state[5]!;
    let g = state[6]!;
    let h = state[7]!;
    for (let t = 0; t < 64; t++) {
        const sum1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        const choose = (e & f) ^ (~e & g);
        const t1 = (((h + sum1) | 0) + ((choose + ((constants[t]! + w[t]!) | 0)) | 0)) | 0;
        const sum0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        const majority = (a & b) ^ (a & c) ^ (b & c);
        h = g;
        g = f;
        f = e;
        e = (d + t1) | 0;
        d = c;
        c = b;
        b = a;
        a = (t1 + ((sum0 + majority) | 0)) | 0;
    }
    state[0]! += a;
    state[1]! += b;
    state[2]! += c;
    state[3]! += d;
    state[4]! += e;
    state[5]! += f;
    state[6]! += g;
    state[7]! += h;
}

/** FIPS 180-4, 4.2.2: the constants are "the first thirty-two bits of the fractional parts". */
function fractionBits(value: number): number {
    return Math.floor((value % 1) * 2 ** 32) | 0;
}

function firstPrimes(count: number): number[] {
    const primes: number[] = [];
    for (let candidate = 2; primes.length < count; candidate++) {
        if (primes.every((prime) => candidate % prime !== 0)) {
            primes.push(candidate);
        }
    }
    return primes;
}
