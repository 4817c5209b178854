/** The numbers of docs/protocol.md, section 2. */

export const channelLabel = "kollator";
export const channelProtocol = "kollator.v1";
export const protocolVersion = 1;

export const headerBytes = 6;
export const hashBytes = 32;
export const defaultMaxChunkBytes = 5 * 1024 * 1024;
/** RFC 8841: what a peer takes that does not say a=max-message-size. */
export const defaultMaxMessageBytes = 64 * 1024;
export const maxMessageBytes = 256 * 1024;
/** CHUNK_STAT asks for no more names than this at once. */
export const maxStatNames = 1000;
/** Behind CHUNK_STAT's names: only what the worker knows without asking its object store. */
export const statScopeKnown = 1;
/** Of HELLO: the worker takes that scope. */
export const featureStatKnown = "stat-known";

export const Flag = {
    compressed: 0x01,
    encrypted: 0x02,
    more: 0x04,
    error: 0x08,
    response: 0x80,
} as const;

export const knownFlags =
    Flag.compressed | Flag.encrypted | Flag.more | Flag.error | Flag.response;

export const MessageType = {
    hello: 0x00,
    chunkRequest: 0x01,
    chunkResponse: 0x02,
    chunkStore: 0x03,
    chunkList: 0x04,
    dhtAnnounce: 0x05,
    healthCheck: 0x06,
    dhtLookup: 0x07,
    metadataStore: 0x08,
    metadataRequest: 0x09,
    auth: 0x0a,
    cancel: 0x0b,
    chunkStat: 0x0c,
} as const;

export const ErrorCode = {
    badRequest: 1,
    notFound: 2,
    tooLarge: 3,
    hashMismatch: 4,
    busy: 5,
    unavailable: 6,
    unauthorized: 7,
    unsupported: 8,
    cancelled: 9,
    internal: 10,
    quota: 11,
} as const;

/** Where a chunk is, as CHUNK_STAT tells. */
export const Residency = {
    notStored: 0,
    objectStore: 1,
    cachedHere: 2,
    fellow: 3,
    unknown: 0xff,
} as const;

export const Durability = { journaled: 1, objectStore: 2 } as const;
export const ListScope = { cachedHere: 0, objectStore: 1 } as const;
