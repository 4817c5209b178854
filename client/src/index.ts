/** The client SDK: reach a worker, share a file, fetch a shared file. */
export { KollatorClient } from "./connection/client.ts";
export type { ClientOptions, ConnectionState, RunOptions } from "./connection/client.ts";
export type { Platform } from "./connection/connect.ts";
export { Session } from "./connection/session.ts";
export { download, openShare } from "./download.ts";
export type { DownloadOptions, DownloadProgress, FetchOptions, Sink } from "./download.ts";
export { KollatorError, isKind } from "./errors.ts";
export type { ErrorKind } from "./errors.ts";
export { localHasher, workerHasher } from "./hash/chunk_hasher.ts";
export type { ChunkHasher } from "./hash/chunk_hasher.ts";
export { formatLink, linkFragment, parseLink } from "./link.ts";
export type { ShareLink } from "./link.ts";
export { fromHex, toHex } from "./protocol/bytes.ts";
export type { Bytes } from "./protocol/bytes.ts";
export type { SharedFile } from "./torrent/metainfo.ts";
export { upload } from "./upload.ts";
export type { UploadOptions, UploadProgress, UploadResult } from "./upload.ts";
