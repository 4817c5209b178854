/** A share link: `<front>/#<info-hash, 64 hex digits>[/<name>]`. The name is for people only. */
import { type Bytes, fromHex, toHex } from "./protocol/bytes.ts";
import { hashBytes } from "./protocol/constants.ts";

export interface ShareLink {
    infoHash: Bytes;
    /** As the link says; the metadata knows the real one. */
    name: string;
}

/** Stands after `#`, so that a front never learns what is asked for. */
export function linkFragment(link: ShareLink): string {
    const name = link.name === "" ? "" : `/${encodeURIComponent(link.name)}`;
    return `#${toHex(link.infoHash)}${name}`;
}

export function formatLink(frontUrl: string, link: ShareLink): string {
    return new URL("/", frontUrl).href + linkFragment(link);
}

/** Takes a whole link, its fragment, or the bare digits. Undefined where it is no share link. */
export function parseLink(text: string): ShareLink | undefined {
    const fragment = text.slice(text.lastIndexOf("#") + 1).trim();
    const match = /^([0-9a-fA-F]{64})(?:\/(.*))?$/s.exec(fragment);
    const infoHash = fromHex(match?.[1] ?? "");
    if (match === null || infoHash?.length !== hashBytes) {
        return undefined;
    }
    return { infoHash, name: decodeName(match[2] ?? "") };
}

function decodeName(text: string): string {
    try {
        return decodeURIComponent(text);
    } catch {
        return "";
    }
}
