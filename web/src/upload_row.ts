/** One file on its way to the store: from hashing to its link. */
import type { KollatorClient } from "../../client/src/connection/client.ts";
import type { ChunkHasher } from "../../client/src/hash/chunk_hasher.ts";
import { formatLink } from "../../client/src/link.ts";
import { type UploadProgress, type UploadResult, upload } from "../../client/src/upload.ts";
import { type Announcer, Milestones } from "./announcer.ts";
import { copyText } from "./clipboard.ts";
import { clone, part, setBar, setText } from "./dom.ts";
import { formatBytes, formatRate, formatTimeLeft, markOf, wholePercent } from "./format.ts";
import { RateMeter } from "./rate_meter.ts";
import { forgetUnfinished, rememberUnfinished } from "./unfinished.ts";
import { wordsForFailure, wordsForTrouble } from "./words.ts";

export interface UploadContext {
    client: KollatorClient;
    hasher: ChunkHasher;
    announcer: Announcer;
    /** Lets a limited number of uploads run at a time. */
    takeTurn: (task: () => Promise<void>) => Promise<void>;
    onChange: () => void;
}

type State = "waiting" | "running" | "done" | "failed";

const paintEveryMs = 200;

function storedWords(skippedBytes: number, sizeBytes: number): string {
    if (skippedBytes === 0) {
        return "Stored and checked. The link is ready.";
    }
    return skippedBytes === sizeBytes
        ? "It was all there already. The link is ready."
        : `Stored and checked; ${formatBytes(skippedBytes)} were there already. The link is ready.`;
}

export class UploadRow {
    readonly element = clone("row-template");
    readonly #file: File;
    readonly #context: UploadContext;
    readonly #rate = new RateMeter();
    readonly #milestones = new Milestones();
    readonly #onRemove: (row: UploadRow) => void;
    #controller = new AbortController();
    #progress: UploadProgress | undefined;
    #trouble: string | undefined;
    #paintTimer: number | undefined;
    #state: State = "waiting";

    constructor(file: File, context: UploadContext, onRemove: (row: UploadRow) => void) {
        this.#file = file;
        this.#context = context;
        this.#onRemove = onRemove;
        setText(part(this.element, "name"), file.name);
        setText(part(this.element, "size"), formatBytes(file.size));
        setText(part(this.element, "mark"), markOf(file.name));
        part(this.element, "bar").setAttribute("aria-label", `Progress of ${file.name}`);
        part(this.element, "dismiss").setAttribute("aria-label", `Cancel ${file.name}`);
        part(this.element, "dismiss").addEventListener("click", () => this.#dismiss());
        part(this.element, "retry").addEventListener("click", () => this.start());
        part(this.element, "copy").addEventListener("click", () => void this.#copy());
    }

    get isBusy(): boolean {
        return this.#state === "waiting" || this.#state === "running";
    }

    /** From 0 to 1. */
    get share(): number {
        const { storedBytes = 0 } = this.#progress ?? {};
        return this.#file.size === 0 ? 0 : storedBytes / this.#file.size;
    }

    start(): void {
        this.#controller = new AbortController();
        this.#enter("waiting");
        this.#say("Waiting for its turn");
        part(this.element, "failed").hidden = true;
        rememberUnfinished({ name: this.#file.name, sizeBytes: this.#file.size });
        void this.#context.takeTurn(() => this.#run());
    }

    async #run(): Promise<void> {
        const { signal } = this.#controller;
        if (signal.aborted) {
            return;
        }
        this.#enter("running");
        this.#say("Connecting");
        this.#rate.reset();
        try {
            const { client, hasher } = this.#context;
            const result = await upload(client, { blob: this.#file, name: this.#file.name }, {
                signal,
                hasher,
                onProgress: (progress) => this.#update(progress),
                onTrouble: (error) => this.#stumble(wordsForTrouble(error)),
            });
            this.#finish(result);
        } catch (error) {
            if (!signal.aborted) {
                this.#fail(error);
            }
        } finally {
            window.clearTimeout(this.#paintTimer);
            this.#paintTimer = undefined;
        }
    }

    #update(progress: UploadProgress): void {
        const before = this.#progress;
        this.#progress = progress;
        if (before !== undefined && progress.storedBytes > before.storedBytes) {
            this.#trouble = undefined;
        }
        this.#paintTimer ??= window.setTimeout(() => {
            this.#paintTimer = undefined;
            this.#paint();
        }, paintEveryMs);
    }

    #stumble(words: string): void {
        this.#trouble = words;
        this.#rate.reset();
        this.#paint();
    }

    #paint(): void {
        const progress = this.#progress;
        if (progress === undefined) {
            this.#say(this.#trouble ?? "Connecting");
            return;
        }
        const { totalBytes, storedBytes, hashedBytes, skippedBytes } = progress;
        const total = Math.max(1, totalBytes);
        setBar(part(this.element, "bar"), storedBytes / total, hashedBytes / total);
        const percent = wholePercent(storedBytes, totalBytes);
        this.#rate.add(storedBytes - skippedBytes, performance.now());
        this.#say(this.#trouble ?? this.#statusOf(progress, percent));
        const milestone = this.#milestones.reached(this.#file.name, percent);
        if (milestone !== undefined) {
            this.#context.announcer.say(milestone);
        }
        this.#context.onChange();
    }

    #statusOf({ totalBytes, storedBytes, skippedBytes }: UploadProgress, percent: number): string {
        if (storedBytes >= totalBytes) {
            return "Finishing";
        }
        if (storedBytes === 0) {
            return "Reading and hashing";
        }
        const parts = [`${percent} %`];
        const rate = this.#rate.bytesPerSecond();
        if (rate !== undefined && rate > 0) {
            parts.push(formatRate(rate), formatTimeLeft((totalBytes - storedBytes) / rate));
        }
        if (skippedBytes > 0) {
            parts.push(`${formatBytes(skippedBytes)} were there already`);
        }
        return parts.join(" · ");
    }

    #finish(result: UploadResult): void {
        const { name, size } = this.#file;
        forgetUnfinished({ name, sizeBytes: size });
        this.#enter("done");
        setBar(part(this.element, "bar"), 1);
        const skipped = this.#progress?.skippedBytes ?? 0;
        this.#say(storedWords(skipped, size));
        const link = formatLink(location.origin, { infoHash: result.infoHash, name });
        const field = part<HTMLInputElement>(this.element, "link");
        field.value = link;
        field.setAttribute("aria-label", `Link to ${name}`);
        field.addEventListener("focus", () => field.select());
        part(this.element, "link-line").hidden = false;
        part(this.element, "copy").setAttribute("aria-label", `Copy the link to ${name}`);
        this.#offerShare(link);
        this.#relabelDismiss("Remove", `Remove ${name} from this list`);
        this.#context.announcer.say(`${name} is stored. Its link is ready.`);
    }

    #offerShare(link: string): void {
        const button = part(this.element, "share");
        const data = { title: this.#file.name, url: link };
        if (navigator.canShare?.(data) === true) {
            button.hidden = false;
            button.setAttribute("aria-label", `Share the link to ${this.#file.name}`);
            button.addEventListener("click", () => {
                navigator.share(data).catch(() => {});
            });
        }
    }

    #fail(error: unknown): void {
        this.#enter("failed");
        const words = wordsForFailure(error, "upload");
        this.#say(words);
        part(this.element, "failed").hidden = false;
        this.#relabelDismiss("Remove", `Remove ${this.#file.name} from this list`);
        this.#context.announcer.say(`${this.#file.name} failed. ${words}`);
        console.debug("kollator: an upload failed", error);
    }

    #dismiss(): void {
        if (this.isBusy) {
            forgetUnfinished({ name: this.#file.name, sizeBytes: this.#file.size });
            this.#controller.abort(new DOMException("cancelled by the reader", "AbortError"));
        }
        this.#state = "failed";
        this.#onRemove(this);
        this.#context.onChange();
    }

    async #copy(): Promise<void> {
        const button = part(this.element, "copy");
        const copied = await copyText(part<HTMLInputElement>(this.element, "link"));
        setText(button, copied ? "Copied" : "Press Ctrl+C");
        this.#context.announcer.say(copied ? "Link copied" : "Press Control C to copy the link");
        window.setTimeout(() => setText(button, "Copy link"), 2000);
    }

    #relabelDismiss(text: string, label: string): void {
        const button = part(this.element, "dismiss");
        setText(button, text);
        button.setAttribute("aria-label", label);
    }

    #enter(state: State): void {
        this.#state = state;
        this.element.dataset["state"] = state;
        if (state === "waiting") {
            this.#relabelDismiss("Cancel", `Cancel ${this.#file.name}`);
        }
        this.#context.onChange();
    }

    #say(text: string): void {
        setText(part(this.element, "status"), text);
    }
}
