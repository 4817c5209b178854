// A worker as a Node programmer would write it after the specification: node-datachannel for
// WebRTC, files for the cache, a Map for the LRU. It speaks enough of docs/protocol.md to be
// measured beside `kollator worker` by the same clients: POST /rtc, HELLO, stores, requests and
// CHUNK_STAT. With S3_ENDPOINT and its like (objects.mjs) every chunk goes to S3 too, before it is
// acknowledged, and what the cache has not comes from there.
//
//   node bench/reference/worker.mjs <folder> [<cache megabytes>]
//
// Prints its HTTP port on the first line.

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PeerConnection } from 'node-datachannel';
import { FRAGMENT_BYTES, Flag, Type as ChunkType, header, parse } from '../load/wire.mjs';
import { openObjects } from './objects.mjs';

const HIGH_WATER_BYTES = 1024 * 1024;
const LOW_WATER_BYTES = 256 * 1024;
const Type = { ...ChunkType, HELLO: 0, METADATA_STORE: 8, METADATA_REQUEST: 9, CHUNK_STAT: 12 };
const objects = openObjects();
const NOT_FOUND = 2;
const HASH_MISMATCH = 4;

const folder = process.argv[2];
const maxBytes = Number(process.argv[3] ?? 300) * 1e6;
await mkdir(folder, { recursive: true });

/** name -> size, the least recently used first: a Map keeps the order of insertion. */
const lru = new Map();
let usedBytes = 0;

async function keep(name, chunk) {
  if (lru.has(name)) return;
  lru.set(name, chunk.length);
  usedBytes += chunk.length;
  await writeFile(join(folder, `${name}.part`), chunk);
  await rename(join(folder, `${name}.part`), join(folder, name));
  for (const [oldest, size] of lru) {
    if (usedBytes <= maxBytes) break;
    lru.delete(oldest);
    usedBytes -= size;
    await rm(join(folder, oldest), { force: true });
  }
}

/** Metadata has names of its own kind. */
const metadata = new Map();

async function find(name) {
  const size = lru.get(name);
  if (size === undefined) {
    const chunk = await objects?.get(`chunks/${name}`);
    if (chunk && createHash('sha256').update(chunk).digest('hex') !== name) return undefined;
    if (chunk) await keep(name, chunk);
    return chunk;
  }
  lru.delete(name);
  lru.set(name, size);
  return readFile(join(folder, name));
}

async function findMetadata(name) {
  return metadata.get(name) ?? objects?.get(`torrents/${name}`);
}

async function sizeOf(name) {
  return lru.get(name) ?? (await objects?.size(`chunks/${name}`)) ?? 0;
}

function errorMessage(requestId, type, code, text) {
  const fields = Buffer.alloc(6);
  fields.writeUInt16BE(code, 0);
  return Buffer.concat([header(type, Flag.RESPONSE | Flag.ERROR, requestId), fields, Buffer.from(text)]);
}

class Conversation {
  constructor(channel) {
    this.channel = channel;
    this.stores = new Map();
    this.waiting = [];
    channel.setBufferedAmountLowThreshold(LOW_WATER_BYTES);
    channel.onBufferedAmountLow(() => this.waiting.splice(0).forEach((resume) => resume()));
    channel.onMessage((message) => void this.handle(parse(message)));
  }

  async send(message) {
    while (this.channel.isOpen() && this.channel.bufferedAmount() > HIGH_WATER_BYTES) {
      await new Promise((resume) => this.waiting.push(resume));
    }
    if (this.channel.isOpen()) this.channel.sendMessageBinary(message);
  }

  async handle({ type, flags, requestId, body }) {
    const hash = body.subarray(0, 32);
    const name = hash.toString('hex');
    if (type === Type.HELLO) {
      const hello = JSON.stringify({ version: 1, role: 'worker', id: 'reference', accept: [] });
      await this.send(Buffer.concat([header(type, Flag.RESPONSE, requestId), Buffer.from(hello)]));
    } else if (type === Type.CHUNK_STAT) {
      const names = Array.from({ length: body.readUInt16BE(0) }, (_, i) =>
        body.toString('hex', 2 + 32 * i, 34 + 32 * i),
      );
      const entries = await Promise.all(
        names.map(async (each) => {
          const entry = Buffer.alloc(5);
          entry.writeUInt32BE(await sizeOf(each), 0);
          entry.writeUInt8(entry.readUInt32BE(0) > 0 ? 1 : 0, 4);
          return entry;
        }),
      );
      await this.send(Buffer.concat([header(type, Flag.RESPONSE, requestId), ...entries]));
    } else if (type === Type.CHUNK_REQUEST || type === Type.METADATA_REQUEST) {
      const chunk = type === Type.CHUNK_REQUEST ? await find(name) : await findMetadata(name);
      const answerType = type === Type.CHUNK_REQUEST ? Type.CHUNK_RESPONSE : type;
      if (!chunk) {
        await this.send(errorMessage(requestId, answerType, NOT_FOUND, 'not found'));
        return;
      }
      for (let offset = 0; offset < chunk.length; offset += FRAGMENT_BYTES) {
        const data = chunk.subarray(offset, offset + FRAGMENT_BYTES);
        const more = offset + data.length < chunk.length ? Flag.MORE : 0;
        const fields = Buffer.alloc(8);
        fields.writeUInt32BE(chunk.length, 0);
        fields.writeUInt32BE(offset, 4);
        const head = header(answerType, Flag.RESPONSE | more, requestId);
        await this.send(Buffer.concat([head, fields, data]));
      }
    } else if (type === Type.CHUNK_STORE || type === Type.METADATA_STORE) {
      const total = body.readUInt32BE(32);
      const store = this.stores.get(requestId) ?? { chunk: Buffer.alloc(total), got: 0 };
      this.stores.set(requestId, store);
      store.got += body.copy(store.chunk, body.readUInt32BE(36), 40);
      if (flags & Flag.MORE) return;
      this.stores.delete(requestId);
      if (type === Type.METADATA_STORE) {
        metadata.set(name, store.chunk);
        await objects?.put(`torrents/${name}`, store.chunk);
        await this.send(Buffer.concat([header(type, Flag.RESPONSE, requestId), Buffer.from([0, 2])]));
        return;
      }
      if (!createHash('sha256').update(store.chunk).digest().equals(hash)) {
        await this.send(errorMessage(requestId, type, HASH_MISMATCH, 'hash mismatch'));
        return;
      }
      await objects?.put(`chunks/${name}`, store.chunk);
      await keep(name, store.chunk);
      await this.send(Buffer.concat([header(type, Flag.RESPONSE, requestId), Buffer.from([0, 2])]));
    }
  }
}

/** Keeps what node-datachannel's garbage collection would otherwise close. */
const peers = new Set();

function answer(offer) {
  return new Promise((resolve) => {
    const peer = new PeerConnection('worker', { iceServers: [], maxMessageSize: 262144 });
    const entry = { peer, channels: [] };
    peers.add(entry);
    peer.onStateChange((state) => {
      if (state === 'closed' || state === 'failed') peers.delete(entry);
    });
    peer.onDataChannel((channel) => {
      channel.onOpen(() => {});
      entry.channels.push(new Conversation(channel));
    });
    peer.onGatheringStateChange((state) => {
      if (state === 'complete') resolve(peer.localDescription().sdp);
    });
    peer.setRemoteDescription(offer, 'offer');
  });
}

const server = createServer(async (request, response) => {
  if (request.method !== 'POST' || request.url !== '/rtc') {
    response.writeHead(404).end();
    return;
  }
  let offer = '';
  for await (const piece of request) offer += piece;
  response.writeHead(201, { 'content-type': 'application/sdp' }).end(await answer(offer));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
