// Keys change while people work: nobody is refused for it, and a key that was stolen
// opens nothing any more.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { eventually } from "../harness/processes.mjs";
import { PASSWORD } from "./client.mjs";
import { UNAUTHENTICATED, call, connect } from "./grpc.mjs";
import { startSystem } from "./system.mjs";

const ROTATIONS = 50;

let system;
before(async () => {
  // A key is published for twice as long as a copy of the JWKS is good before it signs.
  system = await startSystem({ sets: () => ({
    "auth-service": ["jwks_max_age=1s", "keys.publish_before=2s", "keys.retire_after=40s", "access_token_ttl=10s"],
  }) });
});
after(() => system?.stop());

const keys = async () => JSON.parse(await system.parts.latchkey(["keys", "list", "--json"]));
const active = async () => (await keys()).find((key) => key.state === "active");

async function person() {
  const client = system.client();
  await client.register();
  await client.add("brass-key", 1);
  return client;
}

test(`${ROTATIONS} rotations under continuous traffic refuse nobody`, async () => {
  const people = await Promise.all(Array.from({ length: 4 }, person));
  const tally = { served: 0, wrong: [] };
  let over = false;
  const load = people.map(async (client, n) => {
    while (!over) {
      const { status, body, text } = await client.get(n % 2 ? "/api/profile" : "/api/cart");
      if (status === 200 && (n % 2 || body.lines.length === 1)) tally.served += 1;
      else tally.wrong.push([status, text]);
    }
  });
  const signers = new Set();
  for (let round = 0; round < ROTATIONS; round += 1) {
    const before = (await active()).kid;
    await system.parts.latchkey(["keys", "rotate"]);
    const now = await eventually("the next key to sign", async () => {
      const key = await active();
      return key.kid !== before && key.kid;
    });
    signers.add(now);
  }
  over = true;
  await Promise.all(load);
  assert.deepEqual(tally.wrong, []);
  assert.equal(signers.size, ROTATIONS, "each key is a new one");
  assert.ok(tally.served > 1_000, `${tally.served} served`);
});

test("a key that is revoked opens nothing any more, and people notice nothing", async () => {
  const client = await person();
  const token = await system.parts.latchkey(
    ["token", "--audience", "cart-service", "--email", client.email, "--password-stdin"], `${PASSWORD}\n`);
  const cart = connect(system.ports.cart);
  const path = "/latchkey.cart.v1.CartService/GetCart";
  assert.equal(await call(cart, path, token), 0);
  await system.parts.latchkey(["keys", "revoke", (await active()).kid]);
  await eventually("the cart service to refuse", async () => (await call(cart, path, token)) === UNAUTHENTICATED, 1_000);
  for (let round = 0; round < 20; round += 1) {
    assert.deepEqual(await client.cart(), { "brass-key": 1 });
    assert.equal(await client.who(), "user");
  }
  const jwks = await (await fetch(`http://127.0.0.1:${system.ports.authHttp}/.well-known/jwks.json`)).json();
  assert.ok(!jwks.keys.some(({ kid }) => kid === JSON.parse(Buffer.from(token.split(".")[0], "base64url")).kid));
  cart.destroy();
});
