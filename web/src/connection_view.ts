/** How the connection stands: a pill in the header, and a notice while there is none. */
import type { ConnectionState } from "../../client/src/connection/client.ts";
import { byId, part, setText } from "./dom.ts";
import { wordsForTrouble } from "./words.ts";

/** A connection that is back at once needs no notice. */
const noticeAfterMs = 1500;

export class ConnectionView {
    readonly #pill = byId("connection");
    readonly #notice = byId("notice");
    #timer: number | undefined;

    constructor(onRetry: () => void) {
        part(this.#notice, "retry").addEventListener("click", onRetry);
    }

    show(state: ConnectionState): void {
        this.#pill.dataset["state"] = state.name;
        setText(part(this.#pill, "text"), pillText(state));
        const isNamed = state.name === "connected" && state.workerId !== "";
        setText(part(this.#pill, "detail"), isNamed ? ` to ${state.workerId}` : "");
        if (state.name === "connected" || state.name === "closed") {
            window.clearTimeout(this.#timer);
            this.#timer = undefined;
            this.#notice.hidden = true;
        } else if (state.name === "offline") {
            const words = wordsForTrouble(state.error);
            this.#timer ??= window.setTimeout(() => this.#showNotice(words), noticeAfterMs);
            if (!this.#notice.hidden) {
                this.#showNotice(words);
            }
        }
    }

    #showNotice(words: string): void {
        this.#notice.hidden = false;
        setText(part(this.#notice, "text"), words);
    }
}

function pillText(state: ConnectionState): string {
    switch (state.name) {
        case "connecting":
            return "Connecting";
        case "connected":
            return "Connected";
        case "offline":
        case "closed":
            return "Offline";
    }
}
