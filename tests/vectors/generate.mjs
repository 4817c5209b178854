// Writes the golden vectors, messages.json and malformed.json, from the wire contract
// (docs/protocol.md, section 2) alone: it knows none of the codecs that are tested by them.
//
//   node tests/vectors/generate.mjs           writes both files beside this script
//   node tests/vectors/generate.mjs --check   exit code 1 where they differ from what it would write
//
// auth.json: AUTH's tokens, proofs and link keys, and sealed messages (section 5).
// messages.json: valid messages, [{name, type, flags, requestId, hex, fields}].
// malformed.json: messages that a receiver refuses, [{name, hex, code}]; `code` is the contract's
// error code (2.4). Where RESPONSE is set the receiver is a client, else a worker of the default
// limits that has agreed on no compression and no key.
//
// In `fields`: hashes and data are hex, JSON bodies are text, addresses are text (RFC 5952).
import { createCipheriv, createHmac, hkdfSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const Flag = { COMPRESSED: 1, ENCRYPTED: 2, MORE: 4, ERROR: 8, RESPONSE: 0x80 };
const Type = {
  HELLO: 0, CHUNK_REQUEST: 1, CHUNK_RESPONSE: 2, CHUNK_STORE: 3, CHUNK_LIST: 4, DHT_ANNOUNCE: 5,
  HEALTH_CHECK: 6, DHT_LOOKUP: 7, METADATA_STORE: 8, METADATA_REQUEST: 9, AUTH: 10, CANCEL: 11,
  CHUNK_STAT: 12,
};

// Parts of a body: each gives bytes.
const number = (bytes, value) => {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 1) view.setUint8(0, value);
  if (bytes === 2) view.setUint16(0, value, false);
  if (bytes === 4) view.setUint32(0, value, false);
  return new Uint8Array(view.buffer);
};
const u8 = (value) => number(1, value);
const u16 = (value) => number(2, value);
const u32 = (value) => number(4, value);
const hex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const text = (value) => new TextEncoder().encode(value);
const join = (parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const toHex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const message = (type, flags, requestId, parts) =>
  toHex(join([u8(type), u8(flags), u32(requestId), ...parts]));

// SHA-256 of "", of "abc", and two plain patterns.
const emptyHash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const abcHash = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
const lowHash = '00'.repeat(31) + '01';
const highHash = 'ff'.repeat(32);
const zeroHash = '00'.repeat(32);

const messages = [];
const valid = (name, type, flags, requestId, parts, fields) =>
  messages.push({ name, type, flags, requestId, hex: message(type, flags, requestId, parts), fields });
const validJson = (name, type, flags, requestId, value) => {
  const json = JSON.stringify(value);
  valid(name, type, flags, requestId, [text(json)], { json });
};

validJson('hello from a client', Type.HELLO, 0, 1,
  { version: 1, role: 'client', id: '7b0c2f3e-0000-4000-8000-000000000001', accept: ['deflate-raw'],
    agent: 'kollator-web/0.1' });
validJson('hello with the least', Type.HELLO, 0, 0, { version: 1, role: 'client' });
validJson('hello from a worker', Type.HELLO, Flag.RESPONSE, 1,
  { version: 1, role: 'worker', id: 'worker-001', accept: [],
    agent: 'kollator/0.1 "größer"', maxChunkBytes: 5242880, features: ['metadata'] });

valid('request of a whole chunk', Type.CHUNK_REQUEST, 0, 2,
  [hex(abcHash), u32(0), u32(0)], { hash: abcHash, offset: 0, length: 0 });
valid('request of a range', Type.CHUNK_REQUEST, 0, 0x01020304,
  [hex(abcHash), u32(65536), u32(131072)], { hash: abcHash, offset: 65536, length: 131072 });
valid('request with the largest numbers', Type.CHUNK_REQUEST, 0, 0xffffffff,
  [hex(highHash), u32(0xffffffff), u32(0xffffffff)],
  { hash: highHash, offset: 0xffffffff, length: 0xffffffff });

valid('whole chunk in one message', Type.CHUNK_RESPONSE, Flag.RESPONSE, 2,
  [u32(3), u32(0), text('abc')], { total: 3, offset: 0, data: '616263' });
valid('first fragment', Type.CHUNK_RESPONSE, Flag.RESPONSE | Flag.MORE, 3,
  [u32(5), u32(0), text('ab')], { total: 5, offset: 0, data: '6162' });
valid('last fragment', Type.CHUNK_RESPONSE, Flag.RESPONSE, 3,
  [u32(5), u32(2), text('cde')], { total: 5, offset: 2, data: '636465' });
valid('empty fragment at the end', Type.CHUNK_RESPONSE, Flag.RESPONSE, 4,
  [u32(5), u32(5)], { total: 5, offset: 5, data: '' });

valid('store in one message', Type.CHUNK_STORE, 0, 5,
  [hex(abcHash), u32(3), u32(0), text('abc')],
  { hash: abcHash, total: 3, offset: 0, data: '616263' });
valid('store, first fragment', Type.CHUNK_STORE, Flag.MORE, 6,
  [hex(abcHash), u32(3), u32(0), text('ab')],
  { hash: abcHash, total: 3, offset: 0, data: '6162' });
valid('store, last fragment', Type.CHUNK_STORE, 0, 6,
  [hex(abcHash), u32(3), u32(2), text('c')], { hash: abcHash, total: 3, offset: 2, data: '63' });
valid('stored in the object store', Type.CHUNK_STORE, Flag.RESPONSE, 5,
  [u8(0), u8(2)], { status: 0, durability: 2 });
valid('already there, journaled', Type.CHUNK_STORE, Flag.RESPONSE, 6,
  [u8(1), u8(1)], { status: 1, durability: 1 });

valid('list from the start', Type.CHUNK_LIST, 0, 7,
  [hex(zeroHash), u16(0), u8(0)], { after: zeroHash, limit: 0, scope: 0 });
valid('list of the object store', Type.CHUNK_LIST, 0, 8,
  [hex(abcHash), u16(65535), u8(1)], { after: abcHash, limit: 65535, scope: 1 });
valid('list of nothing', Type.CHUNK_LIST, Flag.RESPONSE, 7,
  [u8(0), u16(0)], { more: 0, entries: [] });
valid('list of two', Type.CHUNK_LIST, Flag.RESPONSE, 8,
  [u8(1), u16(2), hex(abcHash), u32(3), hex(highHash), u32(5242880)],
  { more: 1, entries: [{ hash: abcHash, size: 3 }, { hash: highHash, size: 5242880 }] });

valid('announcement of two', Type.DHT_ANNOUNCE, 0, 9,
  [u16(2), hex(abcHash), hex(lowHash)], { hashes: [abcHash, lowHash] });
valid('announcement taken', Type.DHT_ANNOUNCE, Flag.RESPONSE, 9, [u16(2)], { accepted: 2 });

valid('health asked', Type.HEALTH_CHECK, 0, 10, [], {});
validJson('health told', Type.HEALTH_CHECK, Flag.RESPONSE, 10,
  { status: 'healthy', uptime: 12.5, connections: 3 });

valid('look-up', Type.DHT_LOOKUP, 0, 11, [hex(abcHash)], { hash: abcHash });
valid('look-up without a result', Type.DHT_LOOKUP, Flag.RESPONSE, 11, [u16(0)], { peers: [] });
valid('look-up with both families', Type.DHT_LOOKUP, Flag.RESPONSE, 12,
  [u16(2), u8(4), hex('c0000201'), u16(8081),
    u8(6), hex('20010db8000000000000000000000001'), u16(65535)],
  { peers: [{ family: 4, address: '192.0.2.1', port: 8081 },
    { family: 6, address: '2001:db8::1', port: 65535 }] });

valid('metadata stored in one message', Type.METADATA_STORE, 0, 13,
  [hex(lowHash), u32(2), u32(0), text('de')],
  { infohash: lowHash, total: 2, offset: 0, data: '6465' });
valid('metadata stored, a fragment', Type.METADATA_STORE, Flag.MORE, 14,
  [hex(lowHash), u32(4), u32(2), text('d')],
  { infohash: lowHash, total: 4, offset: 2, data: '64' });
valid('metadata is stored', Type.METADATA_STORE, Flag.RESPONSE, 13,
  [u8(0), u8(2)], { status: 0, durability: 2 });
valid('request of metadata', Type.METADATA_REQUEST, 0, 15,
  [hex(lowHash), u32(0), u32(0)], { infohash: lowHash, offset: 0, length: 0 });
valid('metadata, first fragment', Type.METADATA_REQUEST, Flag.RESPONSE | Flag.MORE, 15,
  [u32(2), u32(0), text('d')], { total: 2, offset: 0, data: '64' });
valid('metadata, last fragment', Type.METADATA_REQUEST, Flag.RESPONSE, 15,
  [u32(2), u32(1), text('e')], { total: 2, offset: 1, data: '65' });

const authentication = {
  workerId: 'worker-001', timestamp: 1763800000, token: '11'.repeat(32),
  nonce: '22'.repeat(16), proof: '33'.repeat(32),
};
validJson('authentication', Type.AUTH, 0, 16, authentication);
validJson('authentication answered', Type.AUTH, Flag.RESPONSE, 16,
  { ...authentication, workerId: 'worker-002', nonce: '44'.repeat(16) });

valid('cancel', Type.CANCEL, 0, 2, [], {});

valid('stat of two', Type.CHUNK_STAT, 0, 17,
  [u16(2), hex(abcHash), hex(emptyHash)], { hashes: [abcHash, emptyHash] });
valid('stat of nothing', Type.CHUNK_STAT, 0, 18, [u16(0)], { hashes: [] });
valid('stat of the most', Type.CHUNK_STAT, 0, 19,
  [u16(1000), ...Array(1000).fill(hex(abcHash))], { hashes: Array(1000).fill(abcHash) });
valid('stat of what is known', Type.CHUNK_STAT, 0, 20,
  [u16(2), hex(abcHash), hex(emptyHash), u8(1)], { hashes: [abcHash, emptyHash], scope: 1 });
valid('stat told, each residency', Type.CHUNK_STAT, Flag.RESPONSE, 17,
  [u32(0), u8(0), u32(1), u8(1), u32(2), u8(2), u32(5242880), u8(3), u32(0), u8(255)],
  { entries: [{ size: 0, residency: 0 }, { size: 1, residency: 1 }, { size: 2, residency: 2 },
    { size: 5242880, residency: 3 }, { size: 0, residency: 255 }] });
valid('stat of nothing told', Type.CHUNK_STAT, Flag.RESPONSE, 18, [], { entries: [] });

// An error has the type that the answer would have had: 0x02 for a CHUNK_REQUEST.
const error = (name, type, requestId, code, retryAfterMs, words) =>
  valid(name, type, Flag.RESPONSE | Flag.ERROR, requestId,
    [u16(code), u32(retryAfterMs), text(words)], { code, retryAfterMs, message: words });
error('error BAD_REQUEST', Type.CHUNK_LIST, 20, 1, 0, 'unknown scope 2');
error('error NOT_FOUND', Type.CHUNK_RESPONSE, 21, 2, 0, 'no such chunk');
error('error TOO_LARGE', Type.CHUNK_STORE, 22, 3, 0, 'over 5242880 bytes');
error('error HASH_MISMATCH', Type.CHUNK_STORE, 23, 4, 0, 'the bytes do not match the name');
error('error BUSY', Type.CHUNK_RESPONSE, 24, 5, 1000, 'too many requests');
error('error UNAVAILABLE', Type.METADATA_REQUEST, 25, 6, 0xffffffff, 'no object store: „später“');
error('error UNAUTHORIZED', Type.AUTH, 26, 7, 0, 'the proof does not verify');
error('error UNSUPPORTED', 0x7f, 27, 8, 0, 'unknown type 127');
error('error CANCELLED', Type.CHUNK_RESPONSE, 28, 9, 0, '');
error('error INTERNAL', Type.CHUNK_STAT, 29, 10, 0, 'request 29');
error('error QUOTA', Type.METADATA_STORE, 30, 11, 60000, 'quota used up');

const BAD_REQUEST = 1;
const TOO_LARGE = 3;
const UNSUPPORTED = 8;
const malformed = [];
const raw = (name, bytes, code) => malformed.push({ name, hex: bytes, code });
const refused = (name, type, flags, parts, code = BAD_REQUEST) =>
  raw(name, message(type, flags, 40, parts), code);
const hello = (name, value, code = BAD_REQUEST) =>
  refused(name, Type.HELLO, 0, [text(typeof value === 'string' ? value : JSON.stringify(value))], code);

raw('no bytes', '', BAD_REQUEST);
raw('a type alone', '00', BAD_REQUEST);
raw('a header without a request id', '0000', BAD_REQUEST);
raw('a request id cut short', '0600000000', BAD_REQUEST);
for (const bit of [0x10, 0x20, 0x40]) {
  refused(`unknown flag ${bit}`, Type.HEALTH_CHECK, bit, []);
}
refused('all flags', Type.HEALTH_CHECK, 0xff, []);
refused('unknown type 13', 13, 0, [], UNSUPPORTED);
refused('unknown type 255', 255, 0, [], UNSUPPORTED);
refused('compressed without agreement', Type.CHUNK_REQUEST, Flag.COMPRESSED, [hex('0300')], UNSUPPORTED);
refused('sealed without a key', Type.CHUNK_REQUEST, Flag.ENCRYPTED, [hex('00'.repeat(64))], UNSUPPORTED);
refused('ERROR in a request', Type.HEALTH_CHECK, Flag.ERROR, []);
refused('MORE where nothing is sent in fragments', Type.CHUNK_REQUEST, Flag.MORE,
  [hex(abcHash), u32(0), u32(0)]);

hello('hello, empty', '');
hello('hello, no JSON', '{"version":1');
hello('hello, no object', '[1]');
hello('hello, not UTF-8', ''); // replaced below: TextEncoder makes only UTF-8
malformed[malformed.length - 1].hex =
  message(Type.HELLO, 0, 40, [text('{"version":1,"role":"client","id":"'), hex('ff'), text('"}')]);
hello('hello without a version', { role: 'client' });
hello('hello with a version that is no number', { version: '1', role: 'client' });
hello('hello of another version', { version: 2, role: 'client' }, UNSUPPORTED);
hello('hello without a role', { version: 1 });
hello('hello with an unknown role', { version: 1, role: 'front' });
hello('hello with an id that is no string', { version: 1, role: 'client', id: 7 });
hello('hello with accept that is no list', { version: 1, role: 'client', accept: 'deflate-raw' });
hello('hello accepting what is no string', { version: 1, role: 'client', accept: [1] });
hello('hello nested too deep',
  `{"version":1,"role":"client","x":${'['.repeat(32)}${']'.repeat(32)}}`);

refused('request cut short', Type.CHUNK_REQUEST, 0, [hex(abcHash), u32(0), hex('000000')]);
refused('request with a byte too many', Type.CHUNK_REQUEST, 0, [hex(abcHash), u32(0), u32(0), u8(0)]);
refused('request without a body', Type.CHUNK_REQUEST, 0, []);
refused('an answer that answers nothing', Type.CHUNK_RESPONSE, 0, [u32(3), u32(0), text('abc')]);

refused('fragment cut short', Type.CHUNK_RESPONSE, Flag.RESPONSE, [u32(3), hex('000000')]);
refused('fragment past the end', Type.CHUNK_RESPONSE, Flag.RESPONSE, [u32(3), u32(1), text('abc')]);
refused('fragment that begins past the end', Type.CHUNK_RESPONSE, Flag.RESPONSE, [u32(3), u32(4)]);
refused('fragment whose end overflows', Type.CHUNK_RESPONSE, Flag.RESPONSE,
  [u32(0xffffffff), u32(0xffffffff), text('a')]);

const stores = [['store', Type.CHUNK_STORE, abcHash], ['metadata store', Type.METADATA_STORE, lowHash]];
for (const [what, type, hash] of stores) {
  refused(`${what} cut short`, type, 0, [hex(hash), u32(3), hex('000000')]);
  refused(`${what} without data`, type, 0, [hex(hash), u32(3), u32(0)]);
  refused(`${what} of nothing`, type, 0, [hex(hash), u32(0), u32(0)]);
  refused(`${what} past its total`, type, 0, [hex(hash), u32(3), u32(1), text('abc')]);
  refused(`${what} that begins past its total`, type, Flag.MORE, [hex(hash), u32(3), u32(4), text('a')]);
  refused(`${what} whose end overflows`, type, Flag.MORE,
    [hex(hash), u32(3), u32(0xffffffff), text('abcd')]);
}
refused('store over the limit', Type.CHUNK_STORE, Flag.MORE,
  [hex(abcHash), u32(5242881), u32(0), text('abc')], TOO_LARGE);
refused('store answer cut short', Type.CHUNK_STORE, Flag.RESPONSE, [u8(0)]);
refused('store answer too long', Type.CHUNK_STORE, Flag.RESPONSE, [u8(0), u8(2), u8(0)]);
refused('store answer, unknown status', Type.CHUNK_STORE, Flag.RESPONSE, [u8(2), u8(2)]);
refused('store answer, unknown durability', Type.CHUNK_STORE, Flag.RESPONSE, [u8(0), u8(3)]);
refused('store answer, no durability', Type.METADATA_STORE, Flag.RESPONSE, [u8(0), u8(0)]);

refused('list cut short', Type.CHUNK_LIST, 0, [hex(zeroHash), u16(0)]);
refused('list with a byte too many', Type.CHUNK_LIST, 0, [hex(zeroHash), u16(0), u8(0), u8(0)]);
refused('list of an unknown scope', Type.CHUNK_LIST, 0, [hex(zeroHash), u16(0), u8(2)]);
refused('list answer with fewer than counted', Type.CHUNK_LIST, Flag.RESPONSE,
  [u8(0), u16(2), hex(abcHash), u32(3)]);
refused('list answer with more than counted', Type.CHUNK_LIST, Flag.RESPONSE,
  [u8(0), u16(0), hex(abcHash), u32(3)]);
refused('list answer out of order', Type.CHUNK_LIST, Flag.RESPONSE,
  [u8(0), u16(2), hex(highHash), u32(3), hex(abcHash), u32(3)]);
refused('list answer, a name twice', Type.CHUNK_LIST, Flag.RESPONSE,
  [u8(0), u16(2), hex(abcHash), u32(3), hex(abcHash), u32(3)]);
refused('list answer, more is neither 0 nor 1', Type.CHUNK_LIST, Flag.RESPONSE, [u8(2), u16(0)]);

refused('announcement with fewer than counted', Type.DHT_ANNOUNCE, 0, [u16(2), hex(abcHash)]);
refused('announcement with more than counted', Type.DHT_ANNOUNCE, 0,
  [u16(1), hex(abcHash), hex(lowHash)]);
refused('announcement answer cut short', Type.DHT_ANNOUNCE, Flag.RESPONSE, [u8(0)]);
refused('health with a body', Type.HEALTH_CHECK, 0, [u8(0)]);
refused('health answer that is no JSON', Type.HEALTH_CHECK, Flag.RESPONSE, [text('healthy')]);
refused('look-up cut short', Type.DHT_LOOKUP, 0, [hex('00'.repeat(31))]);
refused('look-up answer, unknown family', Type.DHT_LOOKUP, Flag.RESPONSE,
  [u16(1), u8(5), hex('c0000201'), u16(1)]);
refused('look-up answer cut short', Type.DHT_LOOKUP, Flag.RESPONSE, [u16(1), u8(6), hex('c0000201'), u16(1)]);
refused('look-up answer with more than counted', Type.DHT_LOOKUP, Flag.RESPONSE,
  [u16(0), u8(4), hex('c0000201'), u16(1)]);
refused('metadata request cut short', Type.METADATA_REQUEST, 0, [hex(lowHash), u32(0)]);
refused('metadata fragment past the end', Type.METADATA_REQUEST, Flag.RESPONSE, [u32(1), u32(0), text('de')]);
refused('authentication, no JSON', Type.AUTH, 0, [text('worker-001:1763800000')]);
refused('authentication without a proof', Type.AUTH, 0,
  [text(JSON.stringify({ ...authentication, proof: undefined }))]);
refused('authentication, nonce too short', Type.AUTH, 0,
  [text(JSON.stringify({ ...authentication, nonce: '22' }))]);
refused('authentication, token cut short', Type.AUTH, 0,
  [text(JSON.stringify({ ...authentication, token: '11'.repeat(31) }))]);
refused('authentication, proof too long', Type.AUTH, 0,
  [text(JSON.stringify({ ...authentication, proof: '33'.repeat(33) }))]);
refused('authentication over 1,024 bytes', Type.AUTH, 0,
  [text(JSON.stringify({ ...authentication, more: 'x'.repeat(1024) }))]);
refused('cancel with a body', Type.CANCEL, 0, [u8(0)]);
refused('stat without a count', Type.CHUNK_STAT, 0, [u8(0)]);
refused('stat with fewer than counted', Type.CHUNK_STAT, 0, [u16(2), hex(abcHash)]);
refused('stat with more than counted', Type.CHUNK_STAT, 0, [u16(0), hex(abcHash)]);
refused('stat of an unknown scope', Type.CHUNK_STAT, 0, [u16(1), hex(abcHash), u8(2)]);
refused('stat of a scope that is the default', Type.CHUNK_STAT, 0, [u16(1), hex(abcHash), u8(0)]);
refused('stat with two bytes too many', Type.CHUNK_STAT, 0, [u16(1), hex(abcHash), u16(257)]);
refused('stat of too many', Type.CHUNK_STAT, 0, [u16(1001), ...Array(1001).fill(hex(abcHash))]);
refused('stat answer cut short', Type.CHUNK_STAT, Flag.RESPONSE, [u32(0), u8(0), u32(0)]);
refused('stat answer, unknown residency', Type.CHUNK_STAT, Flag.RESPONSE, [u32(0), u8(4)]);
refused('error cut short', Type.CHUNK_RESPONSE, Flag.RESPONSE | Flag.ERROR, [u16(2), hex('000000')]);

// AUTH with real keys. What `proof` signs stands there as text, so that another implementation can
// find where it differs.
const hmac = (key, words) => createHmac('sha256', hex(key)).update(words).digest('hex');
const sdpFingerprint = (digest) => digest.toUpperCase().match(/../g).join(':');
const auth = [];
const claim = (name, key, fields) => {
  const proofText = ['kollator-auth-v1', fields.role, fields.workerId, `${fields.timestamp}`,
    fields.nonce, fields.peerNonce ?? '', sdpFingerprint(fields.offererFingerprint),
    sdpFingerprint(fields.answererFingerprint)].join('\n');
  auth.push({ kind: 'claim', name, key, ...fields, proofText,
    token: hmac(key, `${fields.workerId}:${fields.timestamp}`), proof: hmac(key, proofText) });
};
const link = (name, key, offererNonce, answererNonce) => {
  const bytes = toHex(new Uint8Array(
    hkdfSync('sha256', hex(key), hex(offererNonce + answererNonce), 'kollator-link-v1', 64)));
  auth.push({ kind: 'link', name, key, offererNonce, answererNonce,
    fromOfferer: bytes.slice(0, 64), fromAnswerer: bytes.slice(64) });
};
const sealed = (name, key, counter, type, flags, requestId, body) => {
  const header = join([u8(type), u8(flags | Flag.ENCRYPTED), u32(requestId)]);
  const count = hex(counter.toString(16).padStart(16, '0'));
  const cipher = createCipheriv('aes-256-gcm', hex(key), join([u32(0), count]));
  cipher.setAAD(header);
  const text = [cipher.update(body), cipher.final(), cipher.getAuthTag()];
  auth.push({ kind: 'sealed', name, key, counter: `${counter}`, type, flags: flags | Flag.ENCRYPTED,
    requestId, body: toHex(body), hex: toHex(join([header, count, ...text])) });
};
const sharedKey = toHex(Uint8Array.from({ length: 32 }, (_, index) => index));
const ends = { offererFingerprint: 'a1'.repeat(32), answererFingerprint: '0b'.repeat(32) };
const nonces = ['00112233445566778899aabbccddeeff', 'ffeeddccbbaa99887766554433221100'];
claim('the offerer', sharedKey,
  { role: 'offerer', workerId: 'worker-001', timestamp: 1763800000, nonce: nonces[0], ...ends });
claim('the answerer', sharedKey,
  { role: 'answerer', workerId: 'worker-002', timestamp: 1763800001, nonce: nonces[1],
    peerNonce: nonces[0], ...ends });
claim('the shortest id, another key', 'ff'.repeat(32),
  { role: 'offerer', workerId: 'a', timestamp: 0, nonce: '00'.repeat(16), ...ends });
link('of the two', sharedKey, nonces[0], nonces[1]);
const linkKey = auth[auth.length - 1].fromOfferer;
sealed('a request', linkKey, 1n, Type.CHUNK_REQUEST, 0, 7, join([hex(abcHash), u32(0), u32(0)]));
sealed('no body', linkKey, 2n, Type.HEALTH_CHECK, 0, 8, new Uint8Array());
sealed('the last fragment', linkKey, 0x0102030405060708n, Type.CHUNK_RESPONSE, Flag.RESPONSE, 9,
  join([u32(5), u32(2), text('cde')]));

const files = { 'messages.json': messages, 'malformed.json': malformed, 'auth.json': auth };
for (const [name, vectors] of Object.entries(files)) {
  const path = new URL(name, import.meta.url);
  const lines = vectors.map((vector) => '  ' + JSON.stringify(vector)).join(',\n');
  const content = `[\n${lines}\n]\n`;
  if (!process.argv.includes('--check')) {
    writeFileSync(path, content);
  } else if (readFileSync(path, 'utf8') !== content) {
    console.error(`${name} differs from what generate.mjs writes`);
    process.exitCode = 1;
  }
}
