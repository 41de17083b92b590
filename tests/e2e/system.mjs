// The four programs as processes, watched: everything they write is kept, and
// everything that must never be written is known.

import assert from "node:assert/strict";
import { readFile, readdir, writeFile } from "node:fs/promises";
import path from "node:path";

import { startParts } from "../harness/parts.mjs";
import { eventually, freePort, ready } from "../harness/processes.mjs";
import { Client, TOKEN } from "./client.mjs";

/** All tests come from one address; what they share is not what they test. */
const GENEROUS = ["account_and_source", "account", "account_long", "source", "registration"]
  .map((quota) => `limits.${quota} = { burst = 1000, refill = "1ms" }\n`).join("");

const OPERATIONS = {
  gateway: "gatewayOperations", "auth-service": "authOperations",
  "cart-service": "cartOperations", "profile-service": "profileOperations",
};

export async function startSystem({ filter = "info", sets } = {}) {
  const telemetry = `telemetry.filter = "${filter}"\n`;
  const settings = Object.fromEntries(Object.keys(OPERATIONS).map((name) => [name, telemetry]));
  settings["auth-service"] += GENEROUS;
  const system = new System(await startParts(settings, sets));
  for (const [name, program] of Object.entries(system.parts.programs)) system.watch(name, program);
  return system;
}

class System {
  constructor(parts) {
    this.parts = parts;
    this.ports = parts.ports;
    this.operations = Object.fromEntries(Object.entries(OPERATIONS).map(([name, port]) => [name, parts.ports[port]]));
    this.logs = {};
    this.secrets = new Set();
  }

  /** The harness keeps a program's last words only. */
  watch(name, program) {
    this.logs[name] = (this.logs[name] ?? "") + program.output;
    for (const stream of [program.child.stdout, program.child.stderr]) {
      stream.on("data", (chunk) => { this.logs[name] += chunk; });
    }
  }

  client(port = this.ports.gateway) {
    return new Client(port, this.secrets);
  }

  /** A second gateway before the same services; its port. */
  async secondGateway() {
    const [port, operations] = [await freePort(), await freePort()];
    const first = await readFile(path.join(this.parts.dir, "gateway.toml"), "utf8");
    await writeFile(path.join(this.parts.dir, "gateway-2.toml"), first
      .replaceAll(String(this.ports.gatewayOperations), String(operations))
      .replaceAll(String(this.ports.gateway), String(port)));
    this.operations["gateway-2"] = operations;
    await this.restart("gateway-2");
    return port;
  }

  async kill(name) {
    this.parts.programs[name].signal("SIGKILL");
    await this.parts.programs[name].ended;
  }

  async restart(name) {
    const program = this.parts.start(name);
    this.watch(name, program);
    await ready(program, `127.0.0.1:${this.operations[name]}`);
    return program;
  }

  /** Starts what an earlier test left dead, and waits until the gateway has noticed. */
  async heal() {
    const dead = Object.keys(this.operations).filter((name) => !this.isRunning(name));
    await Promise.all(dead.map((name) => this.restart(name)));
    for (const path of ["/auth/session", "/api/cart", "/api/profile"]) {
      const client = this.client();
      await eventually(`${path} to answer`, async () => (await client.get(path, { cookie: "A".repeat(43) })).status === 200);
    }
  }

  isRunning(name) {
    return this.parts.programs[name].how === undefined;
  }

  async metrics() {
    const texts = Object.values(this.operations).map(async (port) =>
      (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
    return (await Promise.all(texts)).join("\n");
  }

  /** No log line and no metric holds a cookie, a password or an e-mail address. */
  async assertNothingSecretWritten() {
    assert.ok(this.secrets.size > 0, "the test had secrets");
    const written = { ...this.logs, metrics: await this.metrics() };
    for (const [where, text] of Object.entries(written)) {
      for (const secret of this.secrets) assert.ok(!text.includes(secret), `${where} holds ${secret}`);
      assert.ok(!TOKEN.test(text), `${where} holds a token`);
      assert.ok(!/panicked/.test(text), `${where}: a panic\n${text.match(/.*panicked.*/)?.[0]}`);
    }
  }

  /** Every file that the programs made. */
  async files() {
    const entries = await readdir(this.parts.dir, { withFileTypes: true, recursive: true });
    const files = entries.filter((entry) => entry.isFile());
    return Promise.all(files.map(async (entry) => {
      const file = path.join(entry.parentPath ?? entry.path, entry.name);
      return [file, await readFile(file, "latin1")];
    }));
  }

  stop() {
    return this.parts.stop();
  }
}
