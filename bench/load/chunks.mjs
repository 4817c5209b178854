import { createHmac } from 'node:crypto';

/** Repeatable bytes: SHA-256 in counter mode would be slow, so a keyed pattern over one block. */
export function seededChunk(seed, size) {
  const block = createHmac('sha512', 'kollator-bench').update(String(seed)).digest();
  const chunk = Buffer.alloc(size);
  for (let at = 0; at < size; at += block.length) {
    block.copy(chunk, at);
    if (at + 4 <= size) chunk.writeUInt32LE((at ^ seed) >>> 0, at);
  }
  return chunk;
}
