/** In which order a download takes its chunks: what the worker has at hand first. Pure. */

export interface HintPolicy {
    /** So many names in one question. */
    maxNames: number;
    /** Between two questions. */
    everyMs: number;
    /** As long as questions find nothing new they come half as often each time, down to this. */
    atMostEveryMs: number;
}

export const defaultHintPolicy: HintPolicy = {
    maxNames: 1000,
    everyMs: 2000,
    atMostEveryMs: 30_000,
};

export interface Turn {
    index: number;
    /** The worker had it when it was asked last. */
    hinted: boolean;
}

export class HotOrder {
    readonly #policy: HintPolicy;
    /** Nobody took them yet; in file order. */
    readonly #left: Set<number>;
    #hot: number[] = [];
    #nextQuestionMs = 0;
    #pauseMs: number;
    #askedUpTo = -1;

    constructor(count: number, policy: HintPolicy = defaultHintPolicy) {
        this.#policy = policy;
        this.#pauseMs = policy.everyMs;
        this.#left = new Set(Array.from({ length: count }, (_, index) => index));
    }

    /** Resident ones first, then in file order; undefined when all are taken. */
    next(): Turn | undefined {
        for (let hot = this.#hot.shift(); hot !== undefined; hot = this.#hot.shift()) {
            if (this.#left.delete(hot)) {
                return { index: hot, hinted: true };
            }
        }
        for (const index of this.#left) {
            this.#left.delete(index);
            return { index, hinted: false };
        }
        return undefined;
    }

    /**
     * Which chunks to ask about now; none where it is too early, or nothing is left that an answer
     * would change. Large files are asked about part by part.
     */
    question(nowMs: number): number[] {
        if (nowMs < this.#nextQuestionMs || this.#left.size < 2) {
            return [];
        }
        this.#nextQuestionMs = nowMs + this.#pauseMs;
        const left = [...this.#left];
        const after = left.filter((index) => index > this.#askedUpTo);
        const asked = (after.length > 0 ? after : left).slice(0, this.#policy.maxNames);
        this.#askedUpTo = asked.length < left.length ? asked.at(-1)! : -1;
        return asked;
    }

    /** The answer: which of those asked about are resident. */
    told(asked: readonly number[], resident: readonly boolean[]): void {
        const before = new Set(this.#hot);
        const known = new Set(asked);
        const found = asked.filter((index, i) => resident[i] === true && this.#left.has(index));
        const isNew = found.some((index) => !before.has(index));
        // What was not asked about this time may be there still.
        this.#hot = [...found, ...this.#hot.filter((index) => !known.has(index))];
        const { everyMs, atMostEveryMs } = this.#policy;
        const longer = isNew ? everyMs : Math.min(this.#pauseMs * 2, atMostEveryMs);
        this.#nextQuestionMs += longer - this.#pauseMs;
        this.#pauseMs = longer;
    }
}
