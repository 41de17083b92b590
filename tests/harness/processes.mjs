// Starting the real programs on free ports with data directories of their own,
// and ending them by their ids.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_000;
const POLL_MS = 50;

/** The folder with the built programs; `cargo xtask test` names it. */
export const PROGRAMS = process.env.XTASK_PROGRAMS
  ?? path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "../../target/debug");

/** Without the settings of whoever runs the tests: a program reads every `LATCHKEY_…`. */
export const ENVIRONMENT = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("LATCHKEY_")));

/** Resolves to what `probe` finds, asking until it finds something. */
export async function eventually(what, probe, limit = START_LIMIT_MS) {
  const until = Date.now() + limit;
  let last;
  while (Date.now() < until) {
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`waited ${limit} ms for ${what}`, { cause: last });
}

export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export function temporaryDirectory() {
  return mkdtemp(path.join(os.tmpdir(), "latchkey-test-"));
}

/** One running program. */
export class Program {
  constructor(name, args) {
    this.name = name;
    this.output = "";
    this.child = spawn(path.join(PROGRAMS, name), args, { env: ENVIRONMENT, stdio: ["ignore", "pipe", "pipe"] });
    this.ended = new Promise((resolve) => {
      this.child.on("error", (error) => resolve(`could not start: ${error.message}`));
      this.child.on("exit", (code, signal) => resolve(`ended with ${signal ?? code}`));
    });
    this.ended.then((how) => { this.how = how; });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on("data", (chunk) => { this.output = (this.output + chunk).slice(-20_000); });
    }
  }

  /** Waits for `probe`; a program that ends meanwhile says why instead of a time-out. */
  async until(what, probe) {
    try {
      return await eventually(what, () => {
        if (this.how) return { gone: true };
        return probe();
      }).then((found) => {
        if (found?.gone) throw new Error(`it ${this.how}`);
        return found;
      });
    } catch (error) {
      throw new Error(`${this.name}: ${error.message}\n${this.output}`, { cause: error });
    }
  }

  signal(name) {
    if (!this.how) this.child.kill(name);
  }

  /** Asks it to stop; says whether it did so by itself. */
  async stop() {
    this.signal("SIGCONT");
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), STOP_LIMIT_MS);
    const how = await this.ended;
    clearTimeout(timer);
    return how;
  }
}

/** `latchkey`: all parts in one process. */
export async function startLatchkey() {
  const dataDir = await temporaryDirectory();
  const portsFile = path.join(dataDir, "ports.json");
  const program = new Program("latchkey", ["--ephemeral", "--data-dir", dataDir, "--ports-file", portsFile]);
  const ports = await program.until("the ports file", async () => JSON.parse(await readFile(portsFile, "utf8")));
  await ready(program, ports.gateway_operations);
  const printed = await program.until("the printed address", () => /open in a browser\s+(\S+)/.exec(program.output)?.[1]);
  return {
    program, ports, dataDir, printed,
    gatewayPort: Number(ports.gateway.split(":").at(-1)),
    async stop() {
      const how = await program.stop();
      await rm(dataDir, { recursive: true, force: true });
      return how;
    },
  };
}

/** Waits until the operations listener at `address` says that the program is ready. */
export function ready(program, address) {
  return program.until(`${address} to be ready`, async () => {
    const response = await fetch(`http://${address}/readyz`);
    await response.arrayBuffer();
    return response.ok;
  });
}

/** Runs a program to its end; what it printed. */
export async function run(name, args, input = "") {
  const child = spawn(path.join(PROGRAMS, name), args, { env: ENVIRONMENT });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => { out += chunk; });
  child.stderr.on("data", (chunk) => { err += chunk; });
  // Whoever reads nothing may have ended already.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) throw new Error(`${name} ${args.slice(0, 2).join(" ")} ended with ${code}: ${err}`);
  return out.trim();
}

/** What `latchkey token …` prints. */
export function token(dataDir, audience, who = ["--guest"], input = "") {
  return run("latchkey", ["token", "--audience", audience, "--data-dir", dataDir, ...who], input);
}
