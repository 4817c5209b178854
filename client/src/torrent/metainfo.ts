/**
 * A shared file as a BitTorrent v2 metainfo dictionary (BEP 52) with Kollator's chunk list beside
 * the standard keys in `info` (docs/protocol.md 2.3). Its name is the SHA-256 of bencoded `info`.
 */
import type { Digest } from "../hash/digest.ts";
import { type Bytes, concatBytes, decodeText, encodeText, equalBytes } from "../protocol/bytes.ts";
import { hashBytes } from "../protocol/constants.ts";
import {
    type Bencoded,
    type BencodedDictionary,
    MalformedBencoding,
    bytesOfKey,
    decodeBencode,
    encodeBencode,
    keyOf,
    keyOfBytes,
} from "./bencode.ts";
import { fileTree, leafBytes } from "./merkle.ts";

export interface SharedFile {
    name: string;
    sizeBytes: number;
    chunkSize: number;
    /** In file order; the last chunk may be shorter. */
    chunkHashes: Bytes[];
}

export interface Metainfo {
    file: SharedFile;
    infoHash: Bytes;
    /** The whole dictionary, bencoded. */
    bytes: Bytes;
}

/** The metadata does not describe a file that this client can fetch. */
export class UnusableMetainfo extends Error {
    override readonly name = "UnusableMetainfo";
}

/** A client holds several chunks in memory: larger ones are refused. */
export const maxSupportedChunkBytes = 64 * 1024 * 1024;
/** A longer piece layer would make the metadata of huge files large without need. */
const maxPieces = 16 * 1024;
const maxNameBytes = 1024;

const keys = {
    info: keyOf("info"),
    name: keyOf("name"),
    metaVersion: keyOf("meta version"),
    pieceLength: keyOf("piece length"),
    fileTree: keyOf("file tree"),
    piecesRoot: keyOf("pieces root"),
    length: keyOf("length"),
    chunkSize: keyOf("kollator-chunk-size"),
    chunkHashes: keyOf("kollator-chunk-hashes"),
    pieceLayers: keyOf("piece layers"),
    ofFile: "",
} as const;

export async function buildMetainfo(
    file: SharedFile,
    tree: { unitRoots: readonly Bytes[]; unitBytes: number },
    digest: Digest,
): Promise<Metainfo> {
    const name = encodeText(file.name);
    const pieceLength = pieceLengthFor(file.sizeBytes, tree.unitBytes);
    const ofFile: BencodedDictionary = new Map<string, Bencoded>([[keys.length, file.sizeBytes]]);
    const pieceLayers: BencodedDictionary = new Map();
    if (file.sizeBytes > 0) {
        const { piecesRoot, pieceLayer } = await fileTree(
            tree.unitRoots,
            { sizeBytes: file.sizeBytes, unitBytes: tree.unitBytes, pieceLength },
            digest,
        );
        ofFile.set(keys.piecesRoot, piecesRoot);
        if (pieceLayer.length > 0) {
            pieceLayers.set(keyOfBytes(piecesRoot), concatBytes(pieceLayer));
        }
    }
    const info: BencodedDictionary = new Map<string, Bencoded>([
        [keys.fileTree, new Map([[keyOfBytes(name), new Map([[keys.ofFile, ofFile]])]])],
        [keys.chunkHashes, concatBytes(file.chunkHashes)],
        [keys.chunkSize, file.chunkSize],
        [keys.metaVersion, 2],
        [keys.name, name],
        [keys.pieceLength, pieceLength],
    ]);
    const metainfo: BencodedDictionary = new Map<string, Bencoded>([
        [keys.info, info],
        [keys.pieceLayers, pieceLayers],
    ]);
    return {
        file,
        infoHash: await digest(encodeBencode(info)),
        bytes: encodeBencode(metainfo),
    };
}

/** Verifies `bytes` against their name, and that the file they describe can be fetched. */
export async function openMetainfo(
    bytes: Bytes,
    infoHash: Bytes,
    digest: Digest,
): Promise<SharedFile> {
    const { info, rawInfo } = decodeInfo(bytes);
    if (!equalBytes(await digest(rawInfo), infoHash)) {
        throw new UnusableMetainfo("the metadata does not match its name");
    }
    if (info.get(keys.metaVersion) !== 2) {
        throw new UnusableMetainfo("the metadata is not of BitTorrent version 2");
    }
    const tree = info.get(keys.fileTree);
    if (!(tree instanceof Map) || tree.size !== 1) {
        throw new UnusableMetainfo("the metadata does not describe exactly one file");
    }
    const [[nameKey, entry]] = tree.entries() as unknown as [[string, Bencoded]];
    const ofFile = entry instanceof Map ? entry.get(keys.ofFile) : undefined;
    const sizeBytes = ofFile instanceof Map ? ofFile.get(keys.length) : undefined;
    const name = bytesOfKey(nameKey);
    if (typeof sizeBytes !== "number" || sizeBytes < 0 || name.length > maxNameBytes) {
        throw new UnusableMetainfo("the metadata gives no size or no usable name of the file");
    }
    return { name: decodeText(name), sizeBytes, ...chunkList(info, sizeBytes) };
}

function decodeInfo(bytes: Bytes): { info: BencodedDictionary; rawInfo: Bytes } {
    try {
        const { value, rawValues } = decodeBencode(bytes);
        const info = value instanceof Map ? value.get(keys.info) : undefined;
        const rawInfo = rawValues.get(keys.info);
        if (info instanceof Map && rawInfo !== undefined) {
            return { info, rawInfo };
        }
    } catch (error) {
        if (!(error instanceof MalformedBencoding)) {
            throw error;
        }
    }
    throw new UnusableMetainfo("the metadata is no metainfo dictionary");
}

function chunkList(
    info: BencodedDictionary,
    sizeBytes: number,
): { chunkSize: number; chunkHashes: Bytes[] } {
    const chunkSize = info.get(keys.chunkSize);
    const hashes = info.get(keys.chunkHashes);
    if (typeof chunkSize !== "number" || !(hashes instanceof Uint8Array)) {
        throw new UnusableMetainfo("the metadata has no list of chunks");
    }
    if (chunkSize < 1 || chunkSize > maxSupportedChunkBytes) {
        throw new UnusableMetainfo(`chunks of ${chunkSize} bytes are not supported`);
    }
    const count = Math.ceil(sizeBytes / chunkSize);
    if (hashes.length !== count * hashBytes) {
        throw new UnusableMetainfo("the list of chunks does not fit the file's size");
    }
    const chunkHashes = Array.from({ length: count }, (_, i) =>
        hashes.slice(i * hashBytes, (i + 1) * hashBytes),
    );
    return { chunkSize, chunkHashes };
}

/** BEP 52: "a power of two and at least 16KiB"; here also no smaller than a unit. */
function pieceLengthFor(sizeBytes: number, unitBytes: number): number {
    let pieceLength = Math.max(unitBytes, leafBytes);
    while (sizeBytes / pieceLength > maxPieces) {
        pieceLength *= 2;
    }
    return pieceLength;
}
