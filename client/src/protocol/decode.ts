/** Any message of the contract, checked in full: what a peer that serves would do first. */
import {
    type ChunkStat,
    type ErrorBody,
    type Fragment,
    type ListAnswer,
    type ListRequest,
    type LookupPeer,
    type RangeRequest,
    type StoreAnswer,
    type StoreFragment,
    decodeAnnounceAnswer,
    decodeError,
    decodeFragment,
    decodeListAnswer,
    decodeListRequest,
    decodeLookupAnswer,
    decodeLookupRequest,
    decodeNames,
    decodeRangeRequest,
    decodeStatAnswer,
    decodeStatRequest,
    decodeStoreAnswer,
    decodeStoreFragment,
} from "./bodies.ts";
import type { Bytes } from "./bytes.ts";
import { ErrorCode, Flag, MessageType, defaultMaxChunkBytes } from "./constants.ts";
import { type Hello, decodeHello } from "./hello.ts";
import { type JsonObject, parseObject } from "./json.ts";
import { MalformedMessage, type Message, decodeMessage, hasFlag } from "./message.ts";

export type Body =
    | { kind: "error"; error: ErrorBody }
    | { kind: "hello"; hello: Hello }
    | { kind: "range"; range: RangeRequest }
    | { kind: "fragment"; fragment: Fragment }
    | { kind: "store"; store: StoreFragment }
    | { kind: "stored"; stored: StoreAnswer }
    | { kind: "list"; list: ListRequest }
    | { kind: "listed"; listed: ListAnswer }
    | { kind: "names"; names: Bytes[]; knownOnly?: boolean }
    | { kind: "accepted"; accepted: number }
    | { kind: "empty" }
    | { kind: "health"; health: JsonObject }
    | { kind: "lookup"; hash: Bytes }
    | { kind: "peers"; peers: LookupPeer[] }
    | { kind: "stats"; stats: ChunkStat[] };

export interface DecodedMessage {
    message: Message;
    body: Body;
}

type Decode = (body: Bytes) => Body;

const inFragments = new Set<number>([
    MessageType.chunkStore,
    MessageType.metadataStore,
    MessageType.chunkResponse | (Flag.response << 8),
    MessageType.metadataRequest | (Flag.response << 8),
]);

const fragment: Decode = (body) => ({ kind: "fragment", fragment: decodeFragment(body) });
const range: Decode = (body) => ({ kind: "range", range: decodeRangeRequest(body) });
const stored: Decode = (body) => ({ kind: "stored", stored: decodeStoreAnswer(body) });
const hello: Decode = (body) => ({ kind: "hello", hello: decodeHello(body) });

const requests = new Map<number, Decode>([
    [MessageType.hello, hello],
    [MessageType.chunkRequest, range],
    [MessageType.chunkList, (body) => ({ kind: "list", list: decodeListRequest(body) })],
    [MessageType.dhtAnnounce, (body) => ({ kind: "names", names: decodeNames(body) })],
    [MessageType.healthCheck, decodeEmpty],
    [MessageType.dhtLookup, (body) => ({ kind: "lookup", hash: decodeLookupRequest(body) })],
    [MessageType.metadataStore, (body) => ({ kind: "store", store: decodeStoreFragment(body) })],
    [MessageType.metadataRequest, range],
    [MessageType.cancel, decodeEmpty],
    [MessageType.chunkStat, (body) => ({ kind: "names", ...decodeStatRequest(body) })],
]);

const answers = new Map<number, Decode>([
    [MessageType.hello, hello],
    [MessageType.chunkResponse, fragment],
    [MessageType.chunkStore, stored],
    [MessageType.chunkList, (body) => ({ kind: "listed", listed: decodeListAnswer(body) })],
    [MessageType.dhtAnnounce, (body) => ({ kind: "accepted", accepted: decodeAnnounceAnswer(body) })],
    [MessageType.healthCheck, (body) => ({ kind: "health", health: parseObject(body) })],
    [MessageType.dhtLookup, (body) => ({ kind: "peers", peers: decodeLookupAnswer(body) })],
    [MessageType.metadataStore, stored],
    [MessageType.metadataRequest, fragment],
    [MessageType.chunkStat, (body) => ({ kind: "stats", stats: decodeStatAnswer(body) })],
]);

/** AUTH is between workers: UNSUPPORTED here. */
export function decodeAny(bytes: Bytes, maxChunkBytes = defaultMaxChunkBytes): DecodedMessage {
    const message = decodeMessage(bytes);
    if (hasFlag(message, Flag.compressed) || hasFlag(message, Flag.encrypted)) {
        throw new MalformedMessage("neither compression nor a key was agreed", ErrorCode.unsupported);
    }
    const isAnswer = hasFlag(message, Flag.response);
    if (hasFlag(message, Flag.error)) {
        if (!isAnswer) {
            throw new MalformedMessage("ERROR in a request");
        }
        return { message, body: { kind: "error", error: decodeError(message.body) } };
    }
    if (!isAnswer && message.type === MessageType.chunkResponse) {
        throw new MalformedMessage("an answer that answers nothing");
    }
    if (hasFlag(message, Flag.more) && !inFragments.has(message.type | (isAnswer ? 0x8000 : 0))) {
        throw new MalformedMessage("MORE where nothing is sent in fragments");
    }
    if (!isAnswer && message.type === MessageType.chunkStore) {
        const store = decodeStoreFragment(message.body, maxChunkBytes);
        return { message, body: { kind: "store", store } };
    }
    const decode = (isAnswer ? answers : requests).get(message.type);
    if (decode === undefined) {
        throw new MalformedMessage(`unknown type ${message.type}`, ErrorCode.unsupported);
    }
    return { message, body: decode(message.body) };
}

function decodeEmpty(body: Bytes): Body {
    if (body.length > 0) {
        throw new MalformedMessage("bytes where none belong");
    }
    return { kind: "empty" };
}
