// What the cases of all roles have in common.

export function check(condition, what) {
    if (!condition) throw new Error(what);
}

/** Fails after a while instead of waiting for ever. */
export function within(promise, ms, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A channel with its messages in a queue, so that none is missed. */
export class Channel {
    constructor(raw) {
        this.raw = raw;
        this.messages = [];
        this.takers = [];
        raw.binaryType = "arraybuffer";
        raw.onmessage = ({ data }) => {
            const message = typeof data === "string" ? data : new Uint8Array(data);
            const taker = this.takers.shift();
            if (taker) taker(message);
            else this.messages.push(message);
        };
        this.open = within(
            new Promise((resolve) => {
                if (raw.readyState === "open") resolve();
                raw.onopen = resolve;
            }),
            30_000,
            `channel ${raw.label} open`,
        );
        this.closed = new Promise((resolve) => (raw.onclose = resolve));
        this.open.catch(() => {});
    }

    next(ms = 60_000) {
        const message = this.messages.length
            ? Promise.resolve(this.messages.shift())
            : new Promise((resolve) => this.takers.push(resolve));
        return within(message, ms, `message on ${this.raw.label}`);
    }
}

export function gathered(pc) {
    return new Promise((resolve) => {
        const look = () => pc.iceGatheringState === "complete" && resolve();
        pc.addEventListener("icegatheringstatechange", look);
        look();
    });
}

export function pattern(size, seed) {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; ++i) bytes[i] = (seed + i * 7 + (i >> 8)) & 0xff;
    return bytes;
}

export function equal(a, b) {
    if (a.length !== b.length) return false;
    for (let i = 0; i < a.length; ++i) if (a[i] !== b[i]) return false;
    return true;
}
