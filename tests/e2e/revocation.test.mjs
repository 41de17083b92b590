// What ends a session ends it everywhere: at the other gateway, and at each service for
// tokens that were issued before and would live on for minutes.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { eventually } from "../harness/processes.mjs";
import { PASSWORD, newEmail } from "./client.mjs";
import { UNAUTHENTICATED, UNAVAILABLE, call, claims, connect } from "./grpc.mjs";
import { relay } from "./relay.mjs";
import { startSystem } from "./system.mjs";

/** So that no token expires while a test looks whether it is revoked. */
const LONG_LIVED = "access_token_ttl=300s";
/** A revocation arrives within milliseconds; after this, on any machine, nothing is served. */
const BOUND_MS = 1_000;
const CALLS = { "cart-service": "/latchkey.cart.v1.CartService/GetCart",
  "profile-service": "/latchkey.profile.v1.ProfileService/GetProfile" };

let system;
let otherGateway;
let cartFeed;
let profileFeed;
let services;

before(async () => {
  system = await startSystem({
    sets: async (ports) => {
      [cartFeed, profileFeed] = await Promise.all([relay(ports.authGrpc), relay(ports.authGrpc)]);
      return {
        "auth-service": [LONG_LIVED],
        "cart-service": [`tokens.revocations.auth_address=http://127.0.0.1:${cartFeed.port}`],
        "profile-service": [`tokens.revocations.auth_address=http://127.0.0.1:${profileFeed.port}`,
          "tokens.revocations.on_stale=refuse"],
      };
    },
  });
  otherGateway = await system.secondGateway();
});
beforeEach(async () => {
  await system.heal();
  services = { "cart-service": connect(system.ports.cart), "profile-service": connect(system.ports.profile) };
});
after(async () => {
  Object.values(services ?? {}).forEach((session) => session.destroy());
  await Promise.all([cartFeed?.stop(), profileFeed?.stop(), system?.stop()]);
});

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A person, and a token of a session of theirs for each service. */
async function person() {
  const client = system.client();
  await client.register();
  await client.add("brass-key", 2);
  const tokens = {};
  for (const audience of Object.keys(CALLS)) {
    tokens[audience] = await system.parts.latchkey(
      ["token", "--audience", audience, "--email", client.email, "--password-stdin"], `${PASSWORD}\n`);
  }
  return { client, tokens };
}

function statusAt(audience, token) {
  return call(services[audience], CALLS[audience], token);
}

async function assertRefused(audience, token) {
  await eventually(`${audience} to refuse`, async () => (await statusAt(audience, token)) === UNAUTHENTICATED, BOUND_MS);
  assert.equal(await statusAt(audience, token), UNAUTHENTICATED, "and it stays so");
}

const sid = (token) => claims(token).sid;
const revoke = (...args) => system.parts.latchkey(["sessions", "revoke", ...args]);

test("a logout at one gateway is one at the other, for tokens that both hold", async () => {
  for (let round = 0; round < 10; round += 1) {
    const client = system.client();
    await client.register();
    await client.add("brass-key", 2);
    const elsewhere = client.copy(otherGateway);
    assert.deepEqual(await elsewhere.cart(), { "brass-key": 2 });
    await client.post("/auth/logout", undefined, { status: 204 });
    await eventually("the other gateway to know", async () => Object.keys(await elsewhere.cart()).length === 0, BOUND_MS);
    assert.equal(await elsewhere.who(), "nobody");
  }
});

test("an operator ends a session: its token is refused where it was good, others are not", async () => {
  const { tokens } = await person();
  const bystander = await person();
  for (const [audience, token] of Object.entries(tokens)) {
    assert.equal(await statusAt(audience, token), 0);
    await revoke("--id", sid(token));
    await assertRefused(audience, token);
    assert.equal(await statusAt(audience, bystander.tokens[audience]), 0);
  }
});

test("an operator ends all of a person: every token is refused, and a new sign-in is good at once", async () => {
  const { client, tokens } = await person();
  await revoke("--subject", claims(tokens["cart-service"]).sub);
  for (const [audience, token] of Object.entries(tokens)) await assertRefused(audience, token);
  await eventually("the gateway to know", async () => (await client.who()) === "nobody", BOUND_MS);
  await client.login(client.email);
  assert.deepEqual(await client.cart(), { "brass-key": 2 });
});

test("a disabled account is out everywhere, and in again once it is enabled", async () => {
  const { client, tokens } = await person();
  await system.parts.latchkey(["accounts", "disable", "--email", client.email]);
  for (const [audience, token] of Object.entries(tokens)) await assertRefused(audience, token);
  await eventually("the gateway to know", async () => (await client.who()) === "nobody", BOUND_MS);
  await client.login(client.email, { status: 401 });
  await system.parts.latchkey(["accounts", "enable", "--email", client.email]);
  await client.login(client.email);
  assert.deepEqual(await client.cart(), { "brass-key": 2 });
});

test("a feed that is cut: who must not wait refuses, who may wait goes on, and both catch up", async () => {
  const revoked = await person();
  const good = await person();
  cartFeed.cut();
  profileFeed.cut();
  await revoke("--id", sid(revoked.tokens["cart-service"]));
  await revoke("--id", sid(revoked.tokens["profile-service"]));
  // `until_expiry`: the token's life is the bound, and good tokens stay good.
  assert.equal(await statusAt("cart-service", good.tokens["cart-service"]), 0);
  // `refuse`: after the heartbeat timeout nothing is let in that might be revoked.
  await eventually("profile-service to refuse", async () =>
    (await statusAt("profile-service", revoked.tokens["profile-service"])) === UNAVAILABLE, 10_000);
  assert.equal(await statusAt("profile-service", good.tokens["profile-service"]), UNAVAILABLE);
  assert.equal((await good.client.get("/api/profile")).status, 503);
  assert.equal(await good.client.who(), "user", "and nobody is signed out for it");
  cartFeed.heal();
  profileFeed.heal();
  for (const audience of Object.keys(CALLS)) {
    await eventually(`${audience} to be back`, async () => (await statusAt(audience, good.tokens[audience])) === 0, 10_000);
    await eventually(`${audience} to have caught up`, async () =>
      (await statusAt(audience, revoked.tokens[audience])) === UNAUTHENTICATED, 10_000);
  }
});

test("a service that is stopped for 60 s and goes on knows within the bound what was revoked meanwhile", async () => {
  const people = [await person(), await person(), await person()];
  const good = await person();
  const stopped = ["cart-service", "profile-service"];
  stopped.forEach((name) => system.parts.programs[name].signal("SIGSTOP"));
  const early = stopped.map((name) => statusAt(name, people[0].tokens[name]).catch((error) => error));
  for (const { tokens } of people) for (const token of Object.values(tokens)) await revoke("--id", sid(token));
  // Publishers and other followers are not held up by it.
  const bystander = system.client();
  await bystander.register();
  await bystander.post("/auth/logout", undefined, { status: 204 });
  await pause(60_000);
  await Promise.all(early);
  stopped.forEach((name) => system.parts.programs[name].signal("SIGCONT"));
  services["profile-service"].destroy();
  services["profile-service"] = connect(system.ports.profile);
  services["cart-service"].destroy();
  services["cart-service"] = connect(system.ports.cart);
  // `refuse` does not let in a single one, not even before it has caught up.
  const first = await statusAt("profile-service", people[1].tokens["profile-service"]);
  assert.ok([UNAUTHENTICATED, UNAVAILABLE].includes(first), `answered ${first}`);
  for (const name of stopped) {
    for (const { tokens } of people) {
      await eventually(`${name} to have caught up`, async () => (await statusAt(name, tokens[name])) === UNAUTHENTICATED, 5_000);
    }
    await eventually(`${name} to let the good in`, async () => (await statusAt(name, good.tokens[name])) === 0, 5_000);
  }
});

/** Asks for a person's cart until `isOver`; what came is told to `seen`. */
async function keepAsking(client, isOver, seen) {
  while (!isOver()) {
    const began = Date.now();
    try {
      const { status, body } = await client.get("/api/cart");
      seen({ began, status, lines: body?.lines?.length });
    } catch (error) {
      // The gateway itself was killed.
      assert.ok(["ECONNREFUSED", "ECONNRESET"].includes(error.code) || /socket hang up/.test(error.message), error);
      await pause(20);
    }
  }
}

test("kill -9 of each part in turn under load: nothing is served after a logout, nobody good is refused", async () => {
  const tally = { served: 0, late: [], refused: [], loggedOut: 0 };
  let over = false;
  const live = [];
  for (let n = 0; n < 6; n += 1) {
    const client = system.client();
    await client.register(newEmail("load"));
    await client.add("brass-key", 1);
    live.push(client);
  }
  const load = live.flatMap((client) => [client, client.copy(otherGateway)]).map((client) =>
    keepAsking(client, () => over, ({ status, lines }) => {
      if (status === 200 && lines === 1) tally.served += 1;
      else if (status !== 503) tally.refused.push([status, lines]);
    }));
  const leavers = (async () => {
    while (!over) {
      const client = system.client();
      try {
        await client.register(newEmail("leaver"), {});
        await client.add("brass-key", 1, {});
        const copies = [client.copy(), client.copy(otherGateway)];
        await Promise.all(copies.map((copy) => copy.get("/api/cart")));
        if (!client.cookie || (await client.post("/auth/logout")).status !== 204) continue;
        tally.loggedOut += 1;
        const until = Date.now() + 2 * BOUND_MS;
        const from = Date.now() + BOUND_MS;
        copies.forEach((copy) => load.push(keepAsking(copy, () => Date.now() > until, ({ began, lines }) => {
          if (began > from && lines > 0) tally.late.push(began - from);
        })));
      } catch (error) {
        assert.ok(["ECONNREFUSED", "ECONNRESET"].includes(error.code) || /socket hang up/.test(error.message), error);
        await pause(20);
      }
    }
  })();
  for (const name of ["auth-service", "cart-service", "gateway", "profile-service", "auth-service", "gateway-2"]) {
    await pause(1_000);
    await system.kill(name);
    await pause(500);
    await system.restart(name);
  }
  await pause(1_500);
  over = true;
  await leavers;
  await Promise.all(load);
  assert.deepEqual({ late: tally.late, refused: tally.refused }, { late: [], refused: [] });
  assert.ok(tally.served > 100 && tally.loggedOut > 5, JSON.stringify(tally));
});

test("nothing secret was written", () => system.assertNothingSecretWritten());
