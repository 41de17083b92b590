// grpcurl, as the README shows it. Skipped, and said so, where it cannot be had.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, test } from "node:test";

import { startLatchkey, token } from "../harness/processes.mjs";

const GRPCURL = process.env.GRPCURL ?? "grpcurl";
const missing = spawnSync(GRPCURL, ["--version"]).error !== undefined;
const options = { skip: missing && "grpcurl is not installed: not run" };
const TIMEOUT_MS = 20_000;

let latchkey;

before(async () => {
  if (!missing) latchkey = await startLatchkey();
});

after(() => latchkey?.stop());

function grpcurl(...args) {
  const { status, stdout, stderr } = spawnSync(GRPCURL, ["-plaintext", ...args], { encoding: "utf8", timeout: TIMEOUT_MS });
  return { status, stdout, stderr };
}

test("lists and describes the services by reflection, without a token", options, () => {
  assert.match(grpcurl(latchkey.ports.cart, "list").stdout, /^latchkey\.cart\.v1\.CartService$/m);
  assert.match(grpcurl(latchkey.ports.profile, "describe", "latchkey.profile.v1.Profile").stdout, /string theme = 3/);
});

test("calls with a token as the README shows", options, async () => {
  const bearer = `authorization: Bearer ${await token(latchkey.dataDir, "cart-service")}`;
  const { status, stdout, stderr } = grpcurl("-H", bearer, latchkey.ports.cart, "latchkey.cart.v1.CartService/GetCart");
  assert.equal(status, 0, stderr);
  assert.equal(JSON.parse(stdout).cart.currency, "EUR");
});

test("writes and reads back", options, async () => {
  const bearer = `authorization: Bearer ${await token(latchkey.dataDir, "cart-service")}`;
  const products = grpcurl("-H", bearer, latchkey.ports.cart, "latchkey.cart.v1.CartService/ListProducts");
  const { sku } = JSON.parse(products.stdout).products[0];
  const item = JSON.stringify({ sku, quantity: 2 });
  const added = grpcurl("-H", bearer, "-d", item, latchkey.ports.cart, "latchkey.cart.v1.CartService/AddItem");
  assert.equal(added.status, 0, added.stderr);
  const cart = grpcurl("-H", bearer, latchkey.ports.cart, "latchkey.cart.v1.CartService/GetCart");
  assert.equal(JSON.parse(cart.stdout).cart.itemCount, 2);
});

test("is refused without a token, with a bad one and with another service's", options, async () => {
  const other = await token(latchkey.dataDir, "profile-service");
  for (const headers of [[], ["-H", "authorization: Bearer nonsense"], ["-H", `authorization: Bearer ${other}`]]) {
    const { status, stderr } = grpcurl(...headers, latchkey.ports.cart, "latchkey.cart.v1.CartService/GetCart");
    assert.notEqual(status, 0);
    assert.match(stderr, /Code: Unauthenticated/);
  }
});
