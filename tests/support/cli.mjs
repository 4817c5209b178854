// Runs the command line as a person would.

import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Runs `kollator` with these arguments and no settings but `environment`; resolves with its exit
 * code and what it wrote. `during(child)` is told of the process. `via`: what the command line begins
 * with, to be run elsewhere.
 */
export async function kollator(args, environment = {}, during = () => {}, via = []) {
    const [program, ...before] = [...via, process.env.KOLLATOR_BIN];
    const child = spawn(program, [...before, ...args], {
        stdio: ["ignore", "pipe", "pipe"],
        env: { PATH: process.env.PATH, ...environment },
    });
    const out = [];
    let stderr = "";
    child.stdout.on("data", (bytes) => out.push(bytes));
    child.stderr.on("data", (bytes) => (stderr += bytes));
    during(child);
    const [code, signal] = await once(child, "close");
    const stdout = Buffer.concat(out);
    const lines = stdout.toString().split("\n").filter(Boolean);
    return { code, signal, stdout, lines, stderr, json: () => lines.map((line) => JSON.parse(line)) };
}
