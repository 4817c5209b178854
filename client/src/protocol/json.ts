import type { Bytes } from "./bytes.ts";
import { MalformedMessage } from "./message.ts";

export type JsonObject = Record<string, unknown>;

/** What a stranger sends as JSON is no larger and nests no deeper (docs/architecture.md). */
const maxJsonBytes = 64 * 1024;
const maxJsonDepth = 32;

const strictDecoder = new TextDecoder("utf-8", { fatal: true });

/** A JSON object whose fields are not to be trusted. */
export function parseObject(bytes: Bytes): JsonObject {
    if (bytes.length > maxJsonBytes) {
        throw new MalformedMessage(`JSON over ${maxJsonBytes} bytes`);
    }
    let value: unknown;
    try {
        value = JSON.parse(strictDecoder.decode(bytes));
    } catch {
        throw new MalformedMessage("not JSON");
    }
    if (!isObject(value) || isDeeper(value, maxJsonDepth)) {
        throw new MalformedMessage("not a JSON object of reasonable depth");
    }
    return value;
}

export function isObject(value: unknown): value is JsonObject {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isDeeper(value: unknown, depth: number): boolean {
    if (typeof value !== "object" || value === null) {
        return false;
    }
    return depth === 0 || Object.values(value).some((item) => isDeeper(item, depth - 1));
}
