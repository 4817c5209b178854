/** The bodies of docs/protocol.md 2.2 and 2.4: pure encoding and decoding, no policy. */
import { type Bytes, concatBytes, decodeText, encodeText, toHex } from "./bytes.ts";
import { ErrorCode, Residency, hashBytes, maxStatNames, statScopeKnown } from "./constants.ts";
import { MalformedMessage } from "./message.ts";
import { ByteReader, ByteWriter } from "./reader.ts";

/** CHUNK_REQUEST and METADATA_REQUEST; length 0 means to the end. */
export interface RangeRequest {
    hash: Bytes;
    offset: number;
    length: number;
}

/** CHUNK_RESPONSE and the answer to METADATA_REQUEST. */
export interface Fragment {
    total: number;
    offset: number;
    data: Bytes;
}

/** CHUNK_STORE and METADATA_STORE. */
export interface StoreFragment extends Fragment {
    hash: Bytes;
}

export interface StoreAnswer {
    alreadyThere: boolean;
    durability: number;
}

export interface ListRequest {
    after: Bytes;
    limit: number;
    scope: number;
}

export interface ListEntry {
    hash: Bytes;
    sizeBytes: number;
}

export interface ListAnswer {
    more: boolean;
    entries: ListEntry[];
}

export interface ChunkStat {
    sizeBytes: number;
    residency: number;
}

export interface LookupPeer {
    address: Bytes;
    port: number;
}

export interface ErrorBody {
    code: number;
    retryAfterMs: number;
    message: string;
}

const residencies = new Set<number>(Object.values(Residency));

export function encodeRangeRequest(request: RangeRequest): Bytes {
    return new ByteWriter().hash(request.hash).u32(request.offset).u32(request.length).finish();
}

export function decodeRangeRequest(body: Bytes): RangeRequest {
    const reader = new ByteReader(body);
    return reader.whole({ hash: reader.hash(), offset: reader.u32(), length: reader.u32() });
}

/** Without the data, so that a sender can write it once, behind the header. */
export function encodeFragmentHead(total: number, offset: number): Bytes {
    return new ByteWriter().u32(total).u32(offset).finish();
}

export function encodeFragment(fragment: Fragment): Bytes {
    return concatBytes([encodeFragmentHead(fragment.total, fragment.offset), fragment.data]);
}

export function decodeFragment(body: Bytes): Fragment {
    const reader = new ByteReader(body);
    return checkedFragment({ total: reader.u32(), offset: reader.u32(), data: reader.rest() });
}

export function encodeStoreFragment(fragment: StoreFragment): Bytes {
    return concatBytes([fragment.hash, encodeFragment(fragment)]);
}

/** TOO_LARGE where the whole is over `maxBytes`. */
export function decodeStoreFragment(body: Bytes, maxBytes = 0xffffffff): StoreFragment {
    const reader = new ByteReader(body);
    const fragment = checkedFragment({
        hash: reader.hash(),
        total: reader.u32(),
        offset: reader.u32(),
        data: reader.rest(),
    });
    if (fragment.total > maxBytes) {
        throw new MalformedMessage(`over ${maxBytes} bytes`, ErrorCode.tooLarge);
    }
    if (fragment.data.length === 0) {
        throw new MalformedMessage("a store without data");
    }
    return fragment;
}

function checkedFragment<T extends Fragment>(fragment: T): T {
    if (fragment.offset + fragment.data.length > fragment.total) {
        throw new MalformedMessage("a fragment reaches past the end of what it belongs to");
    }
    return fragment;
}

export function encodeStoreAnswer(answer: StoreAnswer): Bytes {
    return new ByteWriter().u8(answer.alreadyThere ? 1 : 0).u8(answer.durability).finish();
}

export function decodeStoreAnswer(body: Bytes): StoreAnswer {
    const reader = new ByteReader(body);
    const status = reader.u8();
    const durability = reader.u8();
    if (status > 1 || durability < 1 || durability > 2) {
        throw new MalformedMessage("unknown status or durability");
    }
    return reader.whole({ alreadyThere: status === 1, durability });
}

export function encodeListRequest(request: ListRequest): Bytes {
    return new ByteWriter().hash(request.after).u16(request.limit).u8(request.scope).finish();
}

export function decodeListRequest(body: Bytes): ListRequest {
    const reader = new ByteReader(body);
    const request = { after: reader.hash(), limit: reader.u16(), scope: reader.u8() };
    if (request.scope > 1) {
        throw new MalformedMessage("unknown scope");
    }
    return reader.whole(request);
}

export function encodeListAnswer(answer: ListAnswer): Bytes {
    const writer = new ByteWriter().u8(answer.more ? 1 : 0).u16(answer.entries.length);
    for (const entry of answer.entries) {
        writer.hash(entry.hash).u32(entry.sizeBytes);
    }
    return writer.finish();
}

export function decodeListAnswer(body: Bytes): ListAnswer {
    const reader = new ByteReader(body);
    const more = reader.u8();
    if (more > 1) {
        throw new MalformedMessage("more is neither 0 nor 1");
    }
    const entries: ListEntry[] = [];
    for (let count = reader.count(hashBytes + 4); count > 0; count--) {
        const entry = { hash: reader.hash(), sizeBytes: reader.u32() };
        const previous = entries.at(-1);
        if (previous !== undefined && toHex(entry.hash) <= toHex(previous.hash)) {
            throw new MalformedMessage("a list out of order");
        }
        entries.push(entry);
    }
    return reader.whole({ more: more === 1, entries });
}

/** CHUNK_STAT and DHT_ANNOUNCE. */
export function encodeNames(names: readonly Bytes[]): Bytes {
    const writer = new ByteWriter().u16(names.length);
    for (const name of names) {
        writer.hash(name);
    }
    return writer.finish();
}

export function decodeNames(body: Bytes): Bytes[] {
    const reader = new ByteReader(body);
    const names: Bytes[] = [];
    for (let count = reader.count(hashBytes); count > 0; count--) {
        names.push(reader.hash());
    }
    return reader.whole(names);
}

/** `knownOnly`: of what the worker knows without asking its object store. */
export interface StatRequest {
    names: Bytes[];
    knownOnly: boolean;
}

export function encodeStatRequest({ names, knownOnly }: StatRequest): Bytes {
    const body = encodeNames(names);
    return knownOnly ? concatBytes([body, new Uint8Array([statScopeKnown])]) : body;
}

export function decodeStatRequest(body: Bytes): StatRequest {
    const reader = new ByteReader(body);
    const names: Bytes[] = [];
    for (let count = reader.count(hashBytes); count > 0; count--) {
        names.push(reader.hash());
    }
    if (names.length > maxStatNames) {
        throw new MalformedMessage(`${names.length} names are over ${maxStatNames}`);
    }
    const knownOnly = reader.left > 0;
    if (knownOnly && reader.u8() !== statScopeKnown) {
        throw new MalformedMessage("an unknown scope");
    }
    return reader.whole({ names, knownOnly });
}

export function encodeStatAnswer(stats: readonly ChunkStat[]): Bytes {
    const writer = new ByteWriter();
    for (const stat of stats) {
        writer.u32(stat.sizeBytes).u8(stat.residency);
    }
    return writer.finish();
}

export function decodeStatAnswer(body: Bytes): ChunkStat[] {
    const reader = new ByteReader(body);
    const stats: ChunkStat[] = [];
    while (reader.left > 0) {
        const stat = { sizeBytes: reader.u32(), residency: reader.u8() };
        if (!residencies.has(stat.residency)) {
            throw new MalformedMessage(`unknown residency ${stat.residency}`);
        }
        stats.push(stat);
    }
    return stats;
}

export function encodeAnnounceAnswer(accepted: number): Bytes {
    return new ByteWriter().u16(accepted).finish();
}

export function decodeAnnounceAnswer(body: Bytes): number {
    const reader = new ByteReader(body);
    return reader.whole(reader.u16());
}

export function encodeLookupRequest(hash: Bytes): Bytes {
    return new ByteWriter().hash(hash).finish();
}

export function decodeLookupRequest(body: Bytes): Bytes {
    const reader = new ByteReader(body);
    return reader.whole(reader.hash());
}

export function encodeLookupAnswer(peers: readonly LookupPeer[]): Bytes {
    const writer = new ByteWriter().u16(peers.length);
    for (const peer of peers) {
        writer.u8(peer.address.length === 16 ? 6 : 4).bytes(peer.address).u16(peer.port);
    }
    return writer.finish();
}

export function decodeLookupAnswer(body: Bytes): LookupPeer[] {
    const reader = new ByteReader(body);
    const peers: LookupPeer[] = [];
    const smallestPeerBytes = 1 + 4 + 2;
    for (let count = reader.count(smallestPeerBytes); count > 0; count--) {
        const family = reader.u8();
        if (family !== 4 && family !== 6) {
            throw new MalformedMessage(`unknown address family ${family}`);
        }
        peers.push({ address: reader.bytes(family === 4 ? 4 : 16), port: reader.u16() });
    }
    return reader.whole(peers);
}

export function encodeError(error: ErrorBody): Bytes {
    return new ByteWriter()
        .u16(error.code)
        .u32(error.retryAfterMs)
        .bytes(encodeText(error.message))
        .finish();
}

export function decodeError(body: Bytes): ErrorBody {
    const reader = new ByteReader(body);
    return {
        code: reader.u16(),
        retryAfterMs: reader.u32(),
        message: decodeText(reader.rest()),
    };
}
