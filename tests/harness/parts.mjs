// The four programs as processes of their own, each with a settings file.

import { spawnSync } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";

import { startFeed } from "./feed.mjs";
import { ENVIRONMENT, PROGRAMS, Program, freePort, ready, run, temporaryDirectory } from "./processes.mjs";

const PORTS = ["gateway", "gatewayOperations", "authGrpc", "authHttp", "authOperations", "cart",
  "cartOperations", "profile", "profileOperations"];

const WORKLOADS = ["gateway", "cart-service", "profile-service", "latchkey"];

/**
 * Starts all four. `settings` may add lines to a program's file, and `sets` gives it
 * settings on its command line (`name=value`), which win over the file.
 */
export async function startParts(settings = {}, sets = () => ({})) {
  const dir = await temporaryDirectory();
  const ports = Object.fromEntries(await Promise.all(PORTS.map(async (name) => [name, await freePort()])));
  for (const workload of WORKLOADS) makeWorkloadKey(dir, workload);
  const overrides = await sets(ports);
  const files = settingsFiles(dir, ports);
  const programs = {};
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.join(dir, name), { recursive: true });
    await writeFile(path.join(dir, `${name}.toml`), (settings[name] ?? "") + text);
  }
  const start = (name) => {
    programs[name] = new Program(name.replace(/-2$/, ""), [
      "--config", path.join(dir, `${name}.toml`),
      ...(overrides[name] ?? []).flatMap((set) => ["--set", set]),
    ]);
    return programs[name];
  };
  const parts = {
    dir, ports, programs, start,
    /** What `latchkey …` prints, as the operator of this system. */
    latchkey: (args, input) => run("latchkey", [...args, "--auth-address", `http://127.0.0.1:${ports.authGrpc}`,
      "--workload-name", "latchkey", "--workload-key", path.join(dir, "latchkey.pem")], input),
    stop: () => stopAll(programs, dir),
  };
  try {
    Object.keys(files).forEach(start);
    await Promise.all([
      ready(programs["auth-service"], `127.0.0.1:${ports.authOperations}`),
      ready(programs["cart-service"], `127.0.0.1:${ports.cartOperations}`),
      ready(programs["profile-service"], `127.0.0.1:${ports.profileOperations}`),
      ready(programs.gateway, `127.0.0.1:${ports.gatewayOperations}`),
    ]);
  } catch (error) {
    await parts.stop();
    throw error;
  }
  return parts;
}

async function stopAll(programs, dir) {
  await Promise.all(Object.values(programs).map((program) => program.stop()));
  await rm(dir, { recursive: true, force: true });
}

function makeWorkloadKey(dir, workload) {
  const made = spawnSync(path.join(PROGRAMS, "latchkey"),
    ["workload-key", path.join(dir, `${workload}.pem`), "--public", path.join(dir, `${workload}.jwk.json`)],
    { encoding: "utf8", env: ENVIRONMENT });
  if (made.status !== 0) throw new Error(`latchkey workload-key: ${made.error?.message ?? made.stderr}`);
}

function settingsFiles(dir, ports) {
  const at = (name) => `"127.0.0.1:${ports[name]}"`;
  const issuer = `http://localhost:${ports.authHttp}`;
  const service = (name, port) => `
listen = ${at(port)}
operations_listen = ${at(`${port}Operations`)}
database = "${dir}/${name}/${port}.db"
[tokens]
issuer = "${issuer}"
audience = "${name}"
jwks_url = "http://127.0.0.1:${ports.authHttp}/.well-known/jwks.json"
saved_jwks = "${dir}/${name}/jwks.json"
[tokens.revocations]
auth_address = "http://127.0.0.1:${ports.authGrpc}"
workload_name = "${name}"
workload_key_file = "${dir}/${name}.pem"
`;
  const workload = (name, ...may) => `
[workloads.${name}]
public_key_file = "${dir}/${name}.jwk.json"
may = ${JSON.stringify(may)}
`;
  return {
    "auth-service": `
grpc_listen = ${at("authGrpc")}
http_listen = ${at("authHttp")}
operations_listen = ${at("authOperations")}
issuer = "${issuer}"
audiences = ["cart-service", "profile-service"]
database = "${dir}/auth-service/auth.db"
key_encryption_key_file = "${dir}/auth-service/key-encryption-key"
${workload("gateway", "accounts", "sessions", "exchange", "watch")}
${workload("cart-service", "watch")}
${workload("profile-service", "watch")}
${workload("latchkey", "accounts", "sessions", "exchange", "operate")}
`,
    "cart-service": service("cart-service", "cart"),
    "profile-service": service("profile-service", "profile"),
    gateway: `
listen = ${at("gateway")}
operations_listen = ${at("gatewayOperations")}
public_origins = ["http://localhost:${ports.gateway}"]
workload_name = "gateway"
workload_key_file = "${dir}/gateway.pem"
[auth]
address = "http://127.0.0.1:${ports.authGrpc}"
[upstreams.cart]
address = "http://127.0.0.1:${ports.cart}"
audience = "cart-service"
access = "guest"
descriptors = "reflection"
[upstreams.profile]
address = "http://127.0.0.1:${ports.profile}"
audience = "profile-service"
access = "guest"
descriptors = "reflection"
`,
  };
}

/** cart-service alone, with keys from `jwksUrl`: its only idea of who may come in. */
export async function startCartService(issuer, jwksUrl) {
  const dir = await temporaryDirectory();
  const feed = await startFeed();
  const [port, operations] = [await freePort(), await freePort()];
  const file = path.join(dir, "cart-service.toml");
  await writeFile(file, `
listen = "127.0.0.1:${port}"
operations_listen = "127.0.0.1:${operations}"
database = "${dir}/cart.db"
[tokens]
issuer = "${issuer}"
audience = "cart-service"
jwks_url = "${jwksUrl}"
saved_jwks = "${dir}/jwks.json"
[tokens.revocations]
auth_address = "${feed.address}"
workload_key_file = "${dir}/workload.pem"
`);
  const program = new Program("cart-service", ["--config", file]);
  const stop = async () => {
    await stopAll({ program }, dir);
    feed.stop();
  };
  const service = { program, address: `127.0.0.1:${port}`, stop };
  try {
    await ready(program, `127.0.0.1:${operations}`);
  } catch (error) {
    await service.stop();
    throw error;
  }
  return service;
}
