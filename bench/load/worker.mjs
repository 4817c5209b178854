// Starts a worker to be measured, in a folder of its own, and reads what the kernel says of it.

import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CLOCK_TICKS = 100; // sysconf(_SC_CLK_TCK) on Linux
const binary = process.env.KOLLATOR_BIN ?? 'build/release/src/app/kollator';

/** "kollator" or "reference". Gives its `url`, its `pid` and `stop()`. `settings`: S3's, say. */
export async function startWorker(name, settings = {}) {
  const folder = await mkdtemp(join(tmpdir(), `bench-${name}-`));
  const child =
    name === 'reference'
      ? spawn(process.execPath, [new URL('../reference/worker.mjs', import.meta.url).pathname, folder], {
          stdio: ['ignore', 'pipe', 'inherit'],
          env: { ...process.env, ...settings },
        })
      : spawn(binary, ['worker'], {
          stdio: ['ignore', 'pipe', 'inherit'],
          env: {
            PATH: process.env.PATH, DATA_DIR: folder, HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'warn',
            ...settings,
          },
        });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const lines = createInterface({ input: child.stdout });
  const url = await new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const port = name === 'reference' ? line.trim() : /http:\/\/[^ ]*?:(\d+)/.exec(line)?.[1];
      if (port) resolve(`http://127.0.0.1:${port}`);
    });
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)));
  });
  return {
    url,
    pid: child.pid,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** User and system time of a process and its threads. */
export async function cpuSeconds(pid) {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}

export async function residentBytes(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) * 1024;
}
