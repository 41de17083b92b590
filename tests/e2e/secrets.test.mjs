// Canaries: with everything logged that can be logged, no cookie, password, e-mail
// address or token is in a log, a metric or (but for the address) a file.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { PASSWORD, exchange, newEmail } from "./client.mjs";
import { startSystem } from "./system.mjs";

const WRONG = "canary-wrong-password";
const NEXT = "canary-next-password";

let system;
before(async () => {
  system = await startSystem({ filter: "debug" });
  await journey();
});
after(() => system?.stop());

async function journey() {
  const client = system.client();
  for (const secret of [WRONG, NEXT]) system.secrets.add(secret);
  await client.add("brass-key", 1);
  await client.register();
  const { email } = client;
  await client.cart();
  await system.client().post("/auth/login", { email, password: WRONG }, { status: 401 });
  await system.client().register(email, { status: 409 });
  await client.post("/auth/password", { current_password: WRONG, new_password: NEXT }, { status: 403 });
  await client.post("/auth/password", { current_password: PASSWORD, new_password: NEXT }, { status: 204 });
  await refusals(client, email);
  await client.patch("/api/profile", { theme: "dark" }, { status: 200 });
  const other = system.client();
  await other.post("/auth/login", { email, password: NEXT }, { status: 200 });
  await client.delete("/auth/sessions", { status: 204 });
  await client.post("/auth/logout", undefined, { status: 204 });
}

/** The secrets in places where they do not belong. */
async function refusals(client, email) {
  const { cookie } = client;
  await client.get(`/api/cart?sid=${cookie}&email=${email}`, { status: 400 });
  await client.get(`/auth/session?token=${cookie}`);
  await client.get(`/${cookie}`, { status: 404 });
  await client.delete(`/auth/sessions/${cookie}`, { status: 404 });
  await client.post("/api/cart/items", { sku: cookie, quantity: 1 }, { status: 400 });
  await client.patch("/api/profile", { [WRONG]: email }, { status: 400 });
  await client.post("/auth/login", { email, password: WRONG, [NEXT]: 1 }, { status: 400 });
  const broken = `{"email": "${email}", "password": "${WRONG}"`;
  const headers = ["Host", `localhost:${client.port}`, "Origin", `http://localhost:${client.port}`,
    "Content-Type", "application/json", "Content-Length", String(broken.length)];
  const { status } = await exchange(client.port, { method: "POST", path: "/auth/login", headers, body: broken });
  assert.equal(status, 400);
}

test("every program logged something", () => {
  for (const [name, text] of Object.entries(system.logs)) assert.ok(text.length > 100, name);
  assert.match(system.logs["auth-service"], /DEBUG/);
});

test("no log and no metric holds a secret", () => system.assertNothingSecretWritten());

test("no file holds a cookie, a password or a token", async () => {
  for (const [file, text] of await system.files()) {
    for (const secret of system.secrets) {
      if (!secret.includes("@")) assert.ok(!text.includes(secret), `${file} holds ${secret}`);
    }
  }
});

test("a line break in what strangers say makes no line of its own", async () => {
  const email = `${newEmail("evil")}\nERROR forged line`;
  await system.client().post("/auth/login", { email, password: PASSWORD });
  await system.client().post("/auth/register", { email, password: PASSWORD }, { status: 400 });
  for (const [name, text] of Object.entries(system.logs)) assert.doesNotMatch(text, /^ERROR forged/m, name);
});
