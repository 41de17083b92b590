// Sessions across two gateways: made at one they work at the other, and what is over
// stays over.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { PASSWORD } from "./client.mjs";
import { startSystem } from "./system.mjs";

let system;
let second;
before(async () => {
  system = await startSystem();
  second = await system.secondGateway();
});
after(() => system?.stop());

async function registered() {
  const client = system.client();
  await client.register();
  return client;
}

/** The cookie opens nothing, and whoever sends it is served like nobody. */
async function assertOpensNothing(client, old) {
  const ghost = client.copy();
  ghost.cookie = old;
  assert.equal(await ghost.who(), "nobody");
  assert.deepEqual(await ghost.cart(), {});
  await ghost.get("/auth/sessions", { status: 401 });
  await ghost.post("/auth/password", { current_password: PASSWORD, new_password: "another-horse" }, { status: 401 });
  assert.equal(ghost.cookie, old, "no answer touches it");
  return ghost;
}

/** The session was ended: its holder may go on as a new guest. */
async function assertEnded(client, old) {
  const ghost = await assertOpensNothing(client, old);
  await ghost.add("key-ring", 1);
  assert.notEqual(ghost.cookie, old, "a dead cookie is never adopted");
  assert.equal(await ghost.who(), "guest");
}

/** A sign-in gave the session another cookie: a new guest's would come after it and sign the person out. */
async function assertReplaced(client, old) {
  const ghost = await assertOpensNothing(client, old);
  const { body, setCookies } = await ghost.add("key-ring", 1, { status: 401 });
  assert.deepEqual([body.reason, setCookies], ["SESSION_REPLACED", []]);
}

test("a session made at one gateway works at the other", async () => {
  const client = await registered();
  await client.add("brass-key", 2);
  const there = client.copy(second);
  assert.equal(await there.who(), "user");
  assert.deepEqual(await there.cart(), { "brass-key": 2 });
});

test("a guest may sign in at the other gateway", async () => {
  const client = system.client();
  await client.add("brass-key", 2);
  const there = client.copy(second);
  await there.register();
  assert.deepEqual(await there.cart(), { "brass-key": 2 });
});

test("after a logout the very next request is refused, tokens in the cache or not", async () => {
  const client = await registered();
  await client.add("brass-key", 2);
  await client.get("/api/profile");
  const old = client.cookie;
  await client.post("/auth/logout", undefined, { status: 204 });
  await assertEnded(client, old);
});

test("a logout at one gateway holds at the other for all that asks the auth service", async () => {
  const client = await registered();
  const there = client.copy(second);
  await client.post("/auth/logout", undefined, { status: 204 });
  assert.equal(await there.who(), "nobody");
  await there.get("/auth/sessions", { status: 401 });
  assert.deepEqual(await there.cart(), {}, "that gateway had no token for it");
});

test("a gateway that starts after a logout refuses the session too", async () => {
  const client = await registered();
  await client.add("brass-key", 2);
  const there = client.copy(second);
  assert.deepEqual(await there.cart(), { "brass-key": 2 });
  await client.post("/auth/logout", undefined, { status: 204 });
  await system.kill("gateway-2");
  await system.restart("gateway-2");
  await assertEnded(there, there.cookie);
});

test("every sign-in makes another session, and the old cookie is dead at once", async () => {
  const client = await registered();
  const first = client.cookie;
  const id = async () => (await client.get("/auth/session")).body.session.id;
  const before = await id();
  await client.login(client.email);
  assert.notEqual(client.cookie, first);
  assert.notEqual(await id(), before);
  await assertReplaced(client, first);
});

test("a password change makes another session and ends the person's others", async () => {
  const client = await registered();
  const other = client.copy();
  other.cookie = undefined;
  await other.login(client.email);
  await other.add("brass-key", 1);
  const [mine, theirs] = [client.cookie, other.cookie];
  const stranger = await registered();
  await client.post("/auth/password", { current_password: PASSWORD, new_password: "another-horse-battery" }, { status: 204 });
  assert.deepEqual(await client.cart(), { "brass-key": 1 });
  await assertReplaced(client, mine);
  await assertEnded(client, theirs);
  assert.equal(await stranger.who(), "user");
});

test("wrong passwords count across gateways and do not sign anybody out", async () => {
  const client = await registered();
  for (const port of [system.ports.gateway, second]) {
    await system.client(port).post("/auth/login", { email: client.email, password: "wrong-horse" }, { status: 401 });
  }
  assert.equal(await client.who(), "user");
});

test("cookies are 256 random bits", async () => {
  const cookies = new Set();
  for (let n = 0; n < 30; n += 1) {
    const client = system.client();
    await client.add("brass-key", 1);
    cookies.add(client.cookie);
  }
  assert.equal(cookies.size, 30);
  const bytes = [...cookies].map((cookie) => Buffer.from(cookie, "base64url"));
  assert.ok(bytes.every((one) => one.length === 32));
  for (let n = 0; n < 32; n += 1) assert.ok(new Set(bytes.map((one) => one[n])).size > 5, `byte ${n} varies`);
});

test("nothing secret was written", () => system.assertNothingSecretWritten());
