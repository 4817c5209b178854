// The few messages of docs/protocol.md that the load generator and the reference worker need.

export const Type = { CHUNK_REQUEST: 1, CHUNK_RESPONSE: 2, CHUNK_STORE: 3 };
export const Flag = { MORE: 0x04, ERROR: 0x08, RESPONSE: 0x80 };
export const HEADER_BYTES = 6;
export const FRAGMENT_BYTES = 64 * 1024;

export function header(type, flags, requestId) {
  const out = Buffer.alloc(HEADER_BYTES);
  out.writeUInt8(type, 0);
  out.writeUInt8(flags, 1);
  out.writeUInt32BE(requestId, 2);
  return out;
}

export function chunkRequest(requestId, hash) {
  return Buffer.concat([header(Type.CHUNK_REQUEST, 0, requestId), hash, Buffer.alloc(8)]);
}

/** The messages of one CHUNK_STORE, `fragmentBytes` of the chunk in each. */
export function* chunkStore(requestId, hash, chunk, fragmentBytes = FRAGMENT_BYTES) {
  for (let offset = 0; offset < chunk.length; offset += fragmentBytes) {
    const data = chunk.subarray(offset, offset + fragmentBytes);
    const more = offset + data.length < chunk.length ? Flag.MORE : 0;
    const fields = Buffer.alloc(8);
    fields.writeUInt32BE(chunk.length, 0);
    fields.writeUInt32BE(offset, 4);
    yield Buffer.concat([header(Type.CHUNK_STORE, more, requestId), hash, fields, data]);
  }
}

export function parse(message) {
  const buffer = Buffer.from(message.buffer ?? message, message.byteOffset, message.byteLength);
  return {
    type: buffer.readUInt8(0),
    flags: buffer.readUInt8(1),
    requestId: buffer.readUInt32BE(2),
    body: buffer.subarray(HEADER_BYTES),
  };
}
