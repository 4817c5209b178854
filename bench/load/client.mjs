// A load generator over node-datachannel: the same for every worker that it measures.

import { createHash } from 'node:crypto';
import { PeerConnection } from 'node-datachannel';
import { Flag, chunkRequest, chunkStore, header, parse } from './wire.mjs';

const HIGH_WATER_BYTES = 1024 * 1024;
const TIMEOUT_MS = 60_000;
const MAX_CONNECT_ATTEMPTS = 5;

function deadline(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer in ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export class Connection {
  /** Connects by one POST /rtc to `workerUrl`. */
  static async open(workerUrl) {
    // One in ten of libdatachannel's own offers ends in "Got a remote candidate without ICE
    // transport" here, whoever answers; a new offer succeeds.
    for (let attempt = 1; ; attempt++) {
      const connection = new Connection();
      try {
        await deadline(connection.#connect(workerUrl), 'connect');
        return connection;
      } catch (error) {
        connection.close();
        if (attempt === MAX_CONNECT_ATTEMPTS) throw error;
      }
    }
  }

  #peer = new PeerConnection('load', { iceServers: [], maxMessageSize: 262144 });
  #channel;
  #pending = new Map();
  #nextId = 1;
  #writable = [];

  async #connect(workerUrl) {
    const gathered = new Promise((resolve) => {
      this.#peer.onGatheringStateChange((state) => state === 'complete' && resolve());
    });
    this.#channel = this.#peer.createDataChannel('kollator', { protocol: 'kollator.v1' });
    const open = new Promise((resolve, reject) => {
      this.#channel.onOpen(resolve);
      this.#channel.onError((error) => reject(new Error(error)));
    });
    this.#channel.setBufferedAmountLowThreshold(HIGH_WATER_BYTES / 4);
    this.#channel.onBufferedAmountLow(() => this.#writable.splice(0).forEach((go) => go()));
    this.#channel.onMessage((message) => this.#receive(parse(message)));
    await gathered;
    const response = await fetch(new URL('/rtc', workerUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: this.#peer.localDescription().sdp,
    });
    if (response.status !== 201) throw new Error(`POST /rtc: ${response.status}`);
    this.#peer.setRemoteDescription(await response.text(), 'answer');
    await open;
  }

  #receive({ flags, requestId, body }) {
    const request = this.#pending.get(requestId);
    if (!request) return;
    if (request.raw) {
      if (flags & Flag.MORE) return;
      this.#pending.delete(requestId);
      request.resolve({ flags, body });
      return;
    }
    if (flags & Flag.ERROR) {
      this.#pending.delete(requestId);
      request.reject(new Error(`error ${body.readUInt16BE(0)}: ${body.subarray(6)}`));
      return;
    }
    request.onFragment?.(body);
    if (flags & Flag.MORE) return;
    this.#pending.delete(requestId);
    request.resolve();
  }

  /** Sends a request's messages; ends with what its answer resolves or rejects to. */
  async #request(id, messages, handlers) {
    const answered = new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, ...handlers });
    });
    const sent = (async () => {
      for (const message of messages) await this.#send(message);
    })();
    // One settled promise for both: a send that fails leaves no answer behind for close() to reject.
    const failed = new Promise((_, reject) => sent.catch(reject));
    try {
      return await deadline(Promise.race([answered, failed]), 'request');
    } finally {
      this.#pending.delete(id);
    }
  }

  async #send(message) {
    while (this.#channel.bufferedAmount() > HIGH_WATER_BYTES) {
      await new Promise((go) => this.#writable.push(go));
    }
    this.#channel.sendMessageBinary(message);
  }

  async store(chunk) {
    const hash = createHash('sha256').update(chunk).digest();
    const id = this.#nextId++;
    await this.#request(id, chunkStore(id, hash, chunk), {});
    return hash;
  }

  /** Gives the chunk's bytes. `onBytes` is told how many came with each message. */
  async get(hash, onBytes) {
    return (await this.timed(hash, onBytes)).chunk;
  }

  /** The chunk's bytes, and how long its first ones took. */
  async timed(hash, onBytes) {
    let chunk;
    let got = 0;
    let firstByteMs;
    const asked = performance.now();
    const onFragment = (body) => {
      firstByteMs ??= performance.now() - asked;
      chunk ??= Buffer.allocUnsafe(body.readUInt32BE(0));
      const count = body.copy(chunk, body.readUInt32BE(4), 8);
      got += count;
      onBytes?.(count);
    };
    const id = this.#nextId++;
    await this.#request(id, [chunkRequest(id, hash)], { onFragment });
    if (got !== chunk.length) throw new Error(`${got} of ${chunk.length} bytes came`);
    return { chunk, firstByteMs };
  }

  /** Sends one message as it is; gives the flags and the body of the last message of its answer. */
  async exchange(type, flags, body) {
    const id = this.#nextId++;
    return this.#request(id, [Buffer.concat([header(type, flags, id), body])], { raw: true });
  }

  close() {
    for (const { reject } of this.#pending.values()) reject(new Error('closed'));
    this.#pending.clear();
    this.#writable.splice(0).forEach((go) => go());
    this.#peer.close();
  }
}
