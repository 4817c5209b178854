// One connection between two of our own stacks over paths with delay and loss, through the
// impairment relay in user space. Prints a Markdown table of Mbit/s, the ramp from nothing included.
//
//   node bench/path_bench.mjs [--seconds 5] [--sctp own] [--build build/release]
//
// Needs a build with -DKOLLATOR_BENCH=ON -DKOLLATOR_TESTS=ON (targets udp_pair_bench and
// impairment_relay).

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';

const ROUND_TRIPS_MS = [0, 20, 50, 100];
const LOSSES = [0, 0.001, 0.01];

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    sctp: { type: 'string', default: 'own' },
    build: { type: 'string', default: 'build/release' },
  },
});
const program = join(options.build, 'bench/rtc/udp_pair_bench');
const relay = join(options.build, 'tests/support/relay/impairment_relay');

async function megabits(roundTripMs, loss) {
  const { stdout } = await promisify(execFile)(program, [
    ...['--megabytes', '100000', '--seconds', options.seconds, '--relay', relay, '--sctp', options.sctp],
    ...['--delay-ms', String(roundTripMs / 2), '--loss', String(loss)],
  ]);
  return Number(/rate=(\d+)/.exec(stdout)[1]);
}

console.log(`| Mbit/s, ${options.seconds} s | ${LOSSES.map((loss) => `loss ${loss * 100} %`).join(' | ')} |`);
console.log(`| --- |${LOSSES.map(() => ' --- |').join('')}`);
for (const roundTripMs of ROUND_TRIPS_MS) {
  const row = [];
  for (const loss of LOSSES) row.push(await megabits(roundTripMs, loss));
  console.log(`| ${roundTripMs} ms | ${row.join(' | ')} |`);
}
