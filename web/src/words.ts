/** Errors in words that say what to do. */
import { type ErrorKind, KollatorError } from "../../client/src/errors.ts";

/** What was going on when it failed: decides what a reader can do about it. */
export type Task = "upload" | "download";

const keepsTrying: Partial<Record<ErrorKind, string>> = {
    "no-worker": "No worker can be reached right now. This page keeps trying.",
    "front-unreachable": "The server does not answer. Check your network; this page keeps trying.",
    "connection-lost": "The connection was lost. This page is reconnecting and will go on.",
    timeout: "The worker does not answer. This page is reconnecting and will go on.",
    busy: "The worker is busy. Going on in a moment.",
    unavailable: "The worker cannot reach its store right now. Nothing is lost; trying again.",
    internal: "The worker had a fault. Trying again.",
    cancelled: "The worker stopped the request. Trying again.",
    corrupt: "A piece arrived damaged and was thrown away. Fetching it again.",
};

/** For what is repeated by itself. */
export function wordsForTrouble(error: KollatorError): string {
    return keepsTrying[error.kind] ?? wordsForFailure(error, "upload");
}

const final: Partial<Record<ErrorKind, string>> = {
    quota: "The store is full. Try again later, or ask whoever runs this server for more room.",
    "too-large": "The worker refused a piece as too large. Reload this page and try again.",
    "hash-mismatch": "The worker refused a piece as damaged. Try again.",
    refused: "Whoever runs this server refuses this content. It cannot be shared or fetched here.",
    unsupported: "This page and the worker speak different versions. Reload this page.",
    "bad-request": "This page and the worker do not understand each other. Reload this page.",
    unauthorized: "The worker does not allow this. Ask whoever runs this server.",
    source: "The file cannot be read any more, or was changed meanwhile. Choose it again.",
    protocol: "The worker answered something this page does not understand. Reload this page.",
    corrupt: "A piece of this file arrives damaged every time. Ask the sender to share it again.",
    internal: "The worker has a fault. Try again in a few minutes.",
};

export function wordsForFailure(error: unknown, task: Task): string {
    if (error instanceof KollatorError) {
        if (error.kind === "not-found") {
            return task === "download"
                ? "Nothing is stored under this link. Check that it was copied whole, or ask the sender for a new one."
                : "The worker lost track of a piece. Try again.";
        }
        return final[error.kind] ?? keepsTrying[error.kind] ?? "Something went wrong. Try again.";
    }
    if (error instanceof DOMException && error.name === "QuotaExceededError") {
        return "There is not enough room on this device for the file. Free some and try again.";
    }
    if (error instanceof DOMException && error.name === "NotAllowedError") {
        return "The browser was not allowed to write the file. Choose another place.";
    }
    return "Something went wrong in this page. Reload it and try again.";
}
