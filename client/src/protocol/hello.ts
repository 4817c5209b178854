import { type Bytes, encodeText } from "./bytes.ts";
import { ErrorCode, defaultMaxChunkBytes, protocolVersion } from "./constants.ts";
import { parseObject } from "./json.ts";
import { MalformedMessage } from "./message.ts";

export interface Hello {
    version: number;
    role: "client" | "worker";
    id: string;
    agent: string;
    accept: string[];
    /** Of a worker. */
    maxChunkBytes: number;
    features: string[];
}

export function encodeHello(agent: string, accept: readonly string[]): Bytes {
    return encodeText(JSON.stringify({ version: protocolVersion, role: "client", accept, agent }));
}

export function decodeHello(body: Bytes): Hello {
    const { version, role, id, agent, accept, maxChunkBytes, features } = parseObject(body);
    if (typeof version !== "number") {
        throw new MalformedMessage("HELLO without a version");
    }
    if (version !== protocolVersion) {
        throw new MalformedMessage(`version ${version} is not spoken`, ErrorCode.unsupported);
    }
    if (role !== "client" && role !== "worker") {
        throw new MalformedMessage("HELLO without a known role");
    }
    return {
        version,
        role,
        id: optionalText(id, "id"),
        agent: optionalText(agent, "agent"),
        accept: optionalTexts(accept, "accept"),
        maxChunkBytes: isSize(maxChunkBytes) ? maxChunkBytes : defaultMaxChunkBytes,
        features: optionalTexts(features, "features"),
    };
}

function optionalText(value: unknown, field: string): string {
    if (value === undefined) {
        return "";
    }
    if (typeof value !== "string") {
        throw new MalformedMessage(`${field} is no string`);
    }
    return value;
}

function optionalTexts(value: unknown, field: string): string[] {
    if (value === undefined) {
        return [];
    }
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
        throw new MalformedMessage(`${field} is no list of strings`);
    }
    return value;
}

function isSize(value: unknown): value is number {
    return typeof value === "number" && Number.isInteger(value) && value > 0;
}
