/** How fast it goes, over the last few seconds. */
export class RateMeter {
    readonly #samples: { atMs: number; bytes: number }[] = [];

    /** `bytes` is the sum so far; where it falls, the measurement begins again. */
    add(bytes: number, nowMs: number): void {
        const last = this.#samples.at(-1);
        if (last !== undefined && bytes < last.bytes) {
            this.#samples.length = 0;
        }
        if (last === undefined || nowMs - last.atMs >= sampleEveryMs || this.#samples.length === 0) {
            this.#samples.push({ atMs: nowMs, bytes });
        }
        while (this.#samples.length > 2 && nowMs - this.#samples[1]!.atMs > windowMs) {
            this.#samples.shift();
        }
    }

    /** Undefined until there is something to tell. */
    bytesPerSecond(): number | undefined {
        const first = this.#samples[0];
        const last = this.#samples.at(-1);
        if (first === undefined || last === undefined || last.atMs - first.atMs < 500) {
            return undefined;
        }
        return (1000 * (last.bytes - first.bytes)) / (last.atMs - first.atMs);
    }

    reset(): void {
        this.#samples.length = 0;
    }
}

const windowMs = 5000;
const sampleEveryMs = 200;
