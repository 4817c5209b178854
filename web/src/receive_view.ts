/** Receiving: what a link stands for, and saving it. */
import type { KollatorClient } from "../../client/src/connection/client.ts";
import { type DownloadProgress, download, openShare } from "../../client/src/download.ts";
import type { ShareLink } from "../../client/src/link.ts";
import type { SharedFile } from "../../client/src/torrent/metainfo.ts";
import { type Announcer, Milestones } from "./announcer.ts";
import { byId, part, setBar, setText } from "./dom.ts";
import {
    formatBytes,
    formatRate,
    formatTimeLeft,
    markOf,
    safeFileName,
    wholePercent,
} from "./format.ts";
import { RateMeter } from "./rate_meter.ts";
import { type Target, chooseTarget } from "./save.ts";
import { wordsForFailure, wordsForTrouble } from "./words.ts";

export interface ReceiveContext {
    client: KollatorClient;
    announcer: Announcer;
    onChange: () => void;
}

type State = "looking" | "ready" | "saving" | "done" | "failed";

const paintEveryMs = 200;

export class ReceiveView {
    readonly element = byId("receive-view");
    readonly #context: ReceiveContext;
    readonly #rate = new RateMeter();
    #milestones = new Milestones();
    #controller = new AbortController();
    #file: SharedFile | undefined;
    #link: ShareLink | undefined;
    #progress: DownloadProgress | undefined;
    #trouble: string | undefined;
    #paintTimer: number | undefined;
    #state: State = "looking";
    #objectUrl: string | undefined;

    constructor(context: ReceiveContext) {
        this.#context = context;
        this.#part("save").addEventListener("click", () => void this.#save());
        this.#part("cancel").addEventListener("click", () => this.#cancel());
        this.#part("retry").addEventListener("click", () => this.#retry());
    }

    get isBusy(): boolean {
        return this.#state === "saving";
    }

    /** From 0 to 1; undefined where nothing is being saved. */
    get share(): number | undefined {
        const { receivedBytes = 0, totalBytes = 0 } = this.#progress ?? {};
        return this.isBusy && totalBytes > 0 ? receivedBytes / totalBytes : undefined;
    }

    /** Shows what `link` stands for. */
    open(link: ShareLink): void {
        this.close();
        this.#link = link;
        this.#showName(link.name === "" ? "A shared file" : link.name);
        setText(this.#part("size"), "Looking it up");
        void this.#lookUp(link);
    }

    close(): void {
        this.#controller.abort(new DOMException("another view", "AbortError"));
        this.#controller = new AbortController();
        this.#file = undefined;
        this.#releaseObject();
    }

    async #lookUp(link: ShareLink): Promise<void> {
        this.#enter("looking");
        this.#say("");
        const { signal } = this.#controller;
        try {
            const file = await openShare(this.#context.client, link.infoHash, {
                signal,
                onTrouble: (error) => this.#say(wordsForTrouble(error)),
            });
            this.#file = file;
            this.#showName(file.name);
            setText(this.#part("size"), formatBytes(file.sizeBytes));
            this.#enter("ready");
            this.#say("");
            const size = formatBytes(file.sizeBytes);
            this.#context.announcer.say(`${file.name}, ${size}, is ready to be saved.`);
        } catch (error) {
            if (!signal.aborted) {
                setText(this.#part("size"), "Not available");
                this.#fail(error);
            }
        }
    }

    async #save(): Promise<void> {
        const file = this.#file;
        if (file === undefined || this.isBusy) {
            return;
        }
        let target: Target;
        try {
            target = await chooseTarget(safeFileName(file.name), file.sizeBytes);
        } catch (error) {
            if (!(error instanceof DOMException && error.name === "AbortError")) {
                this.#fail(error);
            }
            return;
        }
        await this.#fetch(file, target);
    }

    async #fetch(file: SharedFile, target: Target): Promise<void> {
        const { signal } = this.#controller;
        this.#progress = { totalBytes: file.sizeBytes, receivedBytes: 0, hintedChunks: 0 };
        this.#trouble = undefined;
        this.#milestones = new Milestones();
        this.#rate.reset();
        this.#enter("saving");
        this.#paint();
        this.#part("cancel").focus();
        try {
            await download(this.#context.client, file, target, {
                signal,
                onProgress: (progress) => {
                    if (!signal.aborted) this.#update(progress);
                },
                onTrouble: (error) => {
                    if (!signal.aborted) this.#stumble(wordsForTrouble(error));
                },
            });
            this.#finish(file, await target.finish());
        } catch (error) {
            await target.abort().catch(() => {});
            if (!signal.aborted) {
                this.#fail(error);
            }
        } finally {
            window.clearTimeout(this.#paintTimer);
            this.#paintTimer = undefined;
        }
    }

    #update(progress: DownloadProgress): void {
        const { receivedBytes = 0 } = this.#progress ?? {};
        if (progress.receivedBytes > receivedBytes) {
            this.#trouble = undefined;
        }
        this.#progress = progress;
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
        const { totalBytes, receivedBytes } = this.#progress ?? { totalBytes: 0, receivedBytes: 0 };
        setBar(this.#part("bar"), totalBytes === 0 ? 1 : receivedBytes / totalBytes);
        this.#rate.add(receivedBytes, performance.now());
        const percent = wholePercent(receivedBytes, totalBytes);
        const parts = [`${percent} %`];
        const rate = this.#rate.bytesPerSecond();
        if (rate !== undefined && rate > 0 && receivedBytes < totalBytes) {
            parts.push(formatRate(rate), formatTimeLeft((totalBytes - receivedBytes) / rate));
        }
        this.#say(this.#trouble ?? parts.join(" · "));
        const milestone = this.#milestones.reached(this.#file?.name ?? "The file", percent);
        if (milestone !== undefined) {
            this.#context.announcer.say(milestone);
        }
        this.#context.onChange();
    }

    #finish(file: SharedFile, blob: Blob | undefined): void {
        setBar(this.#part("bar"), 1);
        this.#enter("done");
        this.#say("Every piece was checked: this is the file that was shared.");
        this.#context.announcer.say(`${file.name} is saved and checked.`);
        if (blob !== undefined) {
            this.#handOver(blob, safeFileName(file.name));
        }
    }

    /** As a download of the browser's; the link stays, should the browser have asked first. */
    #handOver(blob: Blob, name: string): void {
        this.#objectUrl = URL.createObjectURL(blob);
        const link = this.#part<HTMLAnchorElement>("again");
        link.href = this.#objectUrl;
        link.download = name;
        link.hidden = false;
        link.click();
    }

    #releaseObject(): void {
        if (this.#objectUrl !== undefined) {
            URL.revokeObjectURL(this.#objectUrl);
            this.#objectUrl = undefined;
        }
    }

    #fail(error: unknown): void {
        this.#enter("failed");
        const words = wordsForFailure(error, "download");
        this.#say(words);
        this.#context.announcer.say(words);
        console.debug("kollator: a download failed", error);
    }

    #cancel(): void {
        this.#controller.abort(new DOMException("cancelled by the reader", "AbortError"));
        this.#controller = new AbortController();
        // A paint that is due would take the words away again.
        window.clearTimeout(this.#paintTimer);
        this.#paintTimer = undefined;
        this.#enter("ready");
        this.#say("Cancelled. Nothing was saved.");
        this.#part("save").focus();
    }

    #retry(): void {
        if (this.#file !== undefined) {
            void this.#save();
        } else if (this.#link !== undefined) {
            void this.#lookUp(this.#link);
        }
    }

    #enter(state: State): void {
        this.#state = state;
        this.element.dataset["state"] = state;
        const save = this.#part<HTMLButtonElement>("save");
        save.disabled = state === "looking";
        save.hidden = state !== "looking" && state !== "ready";
        this.#part("cancel").hidden = state !== "saving";
        this.#part("retry").hidden = state !== "failed";
        this.#part("again").hidden = true;
        this.#part("bar").hidden = state !== "saving" && state !== "done";
        setText(this.#part("eyebrow"), state === "done" ? "Saved" : "Shared with you");
        this.#context.onChange();
    }

    #showName(name: string): void {
        setText(this.#part("name"), name);
        setText(this.#part("mark"), markOf(name));
    }

    #say(text: string): void {
        setText(this.#part("status"), text);
    }

    #part<T extends HTMLElement = HTMLElement>(name: string): T {
        return part<T>(this.element, name);
    }
}
