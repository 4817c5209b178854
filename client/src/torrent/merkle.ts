/**
 * BEP 52's Merkle tree of a file: leaves are the SHA-256 of 16 KiB blocks, a missing leaf is 32
 * zero bytes, and an inner node is the SHA-256 of its two children.
 *
 * A file's tree is put together from *units*, aligned sub-trees of a fixed number of leaves, which
 * can be hashed apart from each other: memory is one chunk, whatever the file's size.
 */
import type { Digest } from "../hash/digest.ts";
import { type Bytes, concatBytes } from "../protocol/bytes.ts";
import { hashBytes } from "../protocol/constants.ts";

export const leafBytes = 16 * 1024;

const maxUnitBytes = 1024 * 1024;

/**
 * A power of two that divides the chunk's size, so that no unit lies in two chunks. For a small
 * file no larger than the tree of its blocks, which BEP 52 fills up to a power of two only.
 */
export function unitBytesFor(chunkSize: number, fileBytes: number): number {
    let unit = leafBytes;
    while (unit < maxUnitBytes && unit < fileBytes && chunkSize % (2 * unit) === 0) {
        unit *= 2;
    }
    return unit;
}

/**
 * The roots of the units of `chunk`, which begins at a unit's boundary. The last may be cut short
 * by the end of the file: its missing leaves count as zeros.
 */
export async function unitRoots(chunk: Bytes, unitBytes: number, digest: Digest): Promise<Bytes[]> {
    const leaves: Promise<Bytes>[] = [];
    for (let offset = 0; offset < chunk.length; offset += leafBytes) {
        leaves.push(digest(chunk.subarray(offset, offset + leafBytes)));
    }
    return reduceLevels(await Promise.all(leaves), unitBytes / leafBytes, 0, digest);
}

export interface FileTree {
    piecesRoot: Bytes;
    /** The layer whose nodes cover a piece; empty where the file is not larger than a piece. */
    pieceLayer: Bytes[];
}

/** REQUIRES: units of a file that is not empty, a piece length that is 2^n units. */
export async function fileTree(
    units: readonly Bytes[],
    file: { sizeBytes: number; unitBytes: number; pieceLength: number },
    digest: Digest,
): Promise<FileTree> {
    if (file.sizeBytes <= file.unitBytes) {
        return { piecesRoot: units[0]!, pieceLayer: [] };
    }
    const unitLevel = Math.log2(file.unitBytes / leafBytes);
    const unitsInPiece = file.pieceLength / file.unitBytes;
    if (file.sizeBytes <= file.pieceLength) {
        return { piecesRoot: await root(units, unitLevel, digest), pieceLayer: [] };
    }
    const pieceLayer = await reduceLevels(units, unitsInPiece, unitLevel, digest);
    const pieceLevel = Math.log2(file.pieceLength / leafBytes);
    return { piecesRoot: await root(pieceLayer, pieceLevel, digest), pieceLayer };
}

/** The root over `nodes`, filled up with the padding of their level to a power of two. */
async function root(nodes: readonly Bytes[], level: number, digest: Digest): Promise<Bytes> {
    let width = 1;
    while (width < nodes.length) {
        width *= 2;
    }
    const [top] = await reduceLevels(nodes, width, level, digest);
    return top!;
}

/** Joins each `width` (a power of two) nodes of `level` into one. */
async function reduceLevels(
    nodes: readonly Bytes[],
    width: number,
    level: number,
    digest: Digest,
): Promise<Bytes[]> {
    let layer = [...nodes];
    let padding = await paddingNode(level, digest);
    for (let joined = 1; joined < width; joined *= 2) {
        const next: Promise<Bytes>[] = [];
        for (let i = 0; i < layer.length; i += 2) {
            next.push(digest(concatBytes([layer[i]!, layer[i + 1] ?? padding])));
        }
        layer = await Promise.all(next);
        padding = await digest(concatBytes([padding, padding]));
    }
    return layer;
}

/** The root of a sub-tree of 2^level leaves that lie wholly past the end of the file. */
async function paddingNode(level: number, digest: Digest): Promise<Bytes> {
    let node: Bytes = new Uint8Array(hashBytes);
    for (let i = 0; i < level; i++) {
        node = await digest(concatBytes([node, node]));
    }
    return node;
}
