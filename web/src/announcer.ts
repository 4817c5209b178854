/** Tells screen readers what matters, one sentence at a time, and not too often. */
import { byId } from "./dom.ts";

/** Long enough for a sentence to be read before the next replaces it. */
const pauseMs = 1500;
const longestQueue = 5;

export class Announcer {
    readonly #region = byId("announcer");
    readonly #queue: string[] = [];
    #timer: number | undefined;

    say(text: string): void {
        this.#queue.push(text);
        if (this.#queue.length > longestQueue) {
            this.#queue.shift();
        }
        this.#timer ??= window.setTimeout(() => this.#next(), 0);
    }

    #next(): void {
        const text = this.#queue.shift();
        if (text === undefined) {
            this.#timer = undefined;
            return;
        }
        this.#region.textContent = text;
        this.#timer = window.setTimeout(() => this.#next(), pauseMs);
    }
}

/** Which quarters of a transfer were told already. */
export class Milestones {
    #told = 0;

    /** A sentence when another quarter is done; the end has words of its own. */
    reached(name: string, percent: number): string | undefined {
        const quarter = Math.floor(percent / 25);
        if (quarter <= this.#told || quarter >= 4) {
            return undefined;
        }
        this.#told = quarter;
        return `${name}: ${quarter * 25} percent`;
    }
}
