// `kollator worker` beside the reference worker with Debian's Chromium as the client: one page, one
// connection, cached chunks of 5 MiB, every SHA-256 checked in the page. Round by round, one after
// the other, medians at the end. Prints a Markdown table.
//
//   node bench/browser_bench.mjs [--rounds 3] [--megabytes 300] [--in-flight 2]
//
// "sent again" is what the worker counts; "dropped" are datagrams that no socket of this machine
// had room for (RcvbufErrors of /proc/net/snmp), whoever they were for.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { cleanup } from 'node-datachannel';
import { chromium } from 'playwright-core';
import { Connection } from './load/client.mjs';
import { seededChunk } from './load/chunks.mjs';
import { median } from './load/statistics.mjs';
import { cpuSeconds, startWorker } from './load/worker.mjs';

const CHUNK_BYTES = 5 * 1024 * 1024;
const CHUNKS = 20;
const SCTP_PAYLOAD_BYTES = 1160;

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    megabytes: { type: 'string', default: '300' },
    'in-flight': { type: 'string', default: '2' },
  },
});

/** In the page. */
async function download({ hashes, requests, inFlight }) {
  const peer = new RTCPeerConnection();
  const channel = peer.createDataChannel('kollator', { protocol: 'kollator.v1' });
  channel.binaryType = 'arraybuffer';
  const opened = new Promise((resolve) => (channel.onopen = resolve));
  await peer.setLocalDescription();
  if (peer.iceGatheringState !== 'complete') {
    await new Promise((resolve) => {
      peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve();
    });
  }
  await peer.setRemoteDescription({ type: 'answer', sdp: await postOffer(peer.localDescription.sdp) });
  await opened;
  const pending = new Map();
  channel.onmessage = ({ data }) => {
    const view = new DataView(data);
    const request = pending.get(view.getUint32(2));
    const flags = view.getUint8(1);
    if (flags & 0x08) return request.reject(new Error('refused'));
    request.chunk ??= new Uint8Array(view.getUint32(6));
    request.chunk.set(new Uint8Array(data, 14), view.getUint32(10));
    if (!(flags & 0x04)) request.resolve(request.chunk);
  };
  let lastId = 0;
  const get = (hash) =>
    new Promise((resolve, reject) => {
      const id = ++lastId;
      pending.set(id, { resolve, reject });
      const message = new DataView(new ArrayBuffer(6 + 32 + 8));
      message.setUint8(0, 1);
      message.setUint32(2, id);
      for (let n = 0; n < 32; n++) message.setUint8(6 + n, parseInt(hash.slice(2 * n, 2 * n + 2), 16));
      channel.send(message.buffer);
    });
  let next = 0;
  const times = [];
  const lane = async () => {
    while (next < requests) {
      const hash = hashes[next++ % hashes.length];
      const asked = performance.now();
      const chunk = await get(hash);
      times.push(performance.now() - asked);
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', chunk));
      const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
      if (hex !== hash) throw new Error('wrong bytes');
    }
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: inFlight }, lane));
  const seconds = (performance.now() - begun) / 1000;
  peer.close();
  return { seconds, times };
}

async function metric(url, name) {
  const text = await (await fetch(new URL('/metrics', url))).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1] ?? NaN);
}

async function droppedDatagrams() {
  const lines = (await readFile('/proc/net/snmp', 'utf8')).split('\n');
  const [names, values] = lines.filter((line) => line.startsWith('Udp:'));
  return Number(values.split(' ')[names.split(' ').indexOf('RcvbufErrors')]);
}

async function measure(name, browser, origin) {
  const worker = await startWorker(name);
  try {
    const loader = await Connection.open(worker.url);
    const hashes = [];
    for (let n = 0; n < CHUNKS; n++) hashes.push((await loader.store(seededChunk(n, CHUNK_BYTES))).toString('hex'));
    loader.close();
    const page = await browser.newPage();
    await page.exposeFunction('postOffer', async (sdp) => {
      const headers = { 'content-type': 'application/sdp' };
      const response = await fetch(new URL('/rtc', worker.url), { method: 'POST', headers, body: sdp });
      if (response.status !== 201) throw new Error(`POST /rtc: ${response.status}`);
      return response.text();
    });
    await page.goto(origin);
    const inFlight = Number(options['in-flight']);
    const requests = Math.ceil((Number(options.megabytes) * 1e6) / CHUNK_BYTES);
    await page.evaluate(download, { hashes, requests: CHUNKS, inFlight }); // warm
    const isOurs = name === 'kollator';
    const resent = () => metric(worker.url, 'kollator_rtc_retransmitted_bytes_total');
    const again = isOurs ? await resent() : NaN;
    const dropped = await droppedDatagrams();
    const cpu = await cpuSeconds(worker.pid);
    const { seconds, times } = await page.evaluate(download, { hashes, requests, inFlight });
    const gigabytes = (requests * CHUNK_BYTES) / 1e9;
    times.sort((a, b) => a - b);
    const result = {
      name,
      rate: (gigabytes * 1000) / seconds,
      p50: times[Math.floor(times.length / 2)],
      p99: times[Math.floor(times.length * 0.99)],
      cpu: ((await cpuSeconds(worker.pid)) - cpu) / gigabytes,
      dropped: ((await droppedDatagrams()) - dropped) / (gigabytes * 10),
      again: isOurs ? ((await resent()) - again) / SCTP_PAYLOAD_BYTES / (gigabytes * 10) : NaN,
    };
    await page.close();
    return result;
  } finally {
    await worker.stop();
  }
}

const server = createServer((_, response) => response.end('<!doctype html><title>bench</title>'));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const browser = await chromium.launch({
  executablePath: process.env.KOLLATOR_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync'],
});
const rounds = [];
for (let round = 0; round < Number(options.rounds); round++) {
  for (const name of ['reference', 'kollator']) {
    rounds.push(await measure(name, browser, `http://127.0.0.1:${server.address().port}/`));
    console.error(`round ${round + 1}: ${name} measured`);
  }
}
await browser.close();
server.close();
const columns = [
  ['MB/s', 'rate', 1],
  ['p50 ms', 'p50', 1],
  ['p99 ms', 'p99', 1],
  ['worker CPU s/GB', 'cpu', 2],
  ['sent again, datagrams/100 MB', 'again', 0],
  ['dropped, datagrams/100 MB', 'dropped', 0],
];
console.log(`| worker | ${columns.map(([title]) => title).join(' | ')} |`);
console.log(`| --- |${columns.map(() => ' --- |').join('')}`);
for (const name of ['reference', 'kollator']) {
  const own = rounds.filter((result) => result.name === name);
  const cells = columns.map(([, field, digits]) => median(own.map((one) => one[field])).toFixed(digits));
  console.log(`| ${name} | ${cells.join(' | ').replaceAll('NaN', '')} |`);
}
cleanup();
