// What store_bench.cc does, by the AWS SDK for JavaScript: the same objects, the same numbers in
// flight, the same lines of JSON. Whole bodies in memory, as a worker needs them to verify them.

import { createHash } from 'node:crypto';
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { openClient } from '../reference/objects.mjs';

const CHUNK_BYTES = 5 << 20;
const IN_FLIGHT = [1, 8, 32];
const OBJECTS = 64;

const env = process.env;
const client = openClient(env);

const objects = Array.from({ length: OBJECTS }, (_, seed) => {
  const body = Buffer.alloc(CHUNK_BYTES, createHash('sha512').update(`sdk ${seed}`).digest());
  return { Key: `chunks/${createHash('sha256').update(body).digest('hex')}`, body };
});

async function load(inFlight, count, request) {
  let next = 0;
  const lane = async () => {
    while (next < count) await request(objects[next++ % OBJECTS]);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

async function measure(what, inFlight, count, request) {
  const cpu = process.cpuUsage();
  const begin = performance.now();
  await load(inFlight, count, request);
  const seconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const bytes = count * CHUNK_BYTES;
  console.log(
    JSON.stringify({
      what,
      inFlight,
      megabytesPerSecond: bytes / 1e6 / seconds,
      cpuPerGigabyte: (user + system) / 1e6 / (bytes / 1e9),
    }),
  );
}

const Bucket = env.S3_BUCKET;
const put = ({ Key, body }) =>
  client.send(new PutObjectCommand({ Bucket, Key, Body: body, IfNoneMatch: '*' }));
const remove = ({ Key }) => client.send(new DeleteObjectCommand({ Bucket, Key }));
const get = async ({ Key }) => {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
  const bytes = await Body.transformToByteArray();
  if (bytes.length !== CHUNK_BYTES) throw new Error(`${bytes.length} bytes came`);
};

const gets = Math.max(OBJECTS, Math.floor((Number(process.argv[2] ?? 500) * 1024 * 1024) / CHUNK_BYTES));
for (const inFlight of IN_FLIGHT) {
  await load(8, OBJECTS, remove);
  await measure('PUT', inFlight, OBJECTS, put);
}
for (const inFlight of IN_FLIGHT) await measure('GET', inFlight, gets, get);
