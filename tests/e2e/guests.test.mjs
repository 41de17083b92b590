// What a guest had is the person's after a sign-in: all of it, once, whatever
// happens to the requests and answers in between.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { eventually } from "../harness/processes.mjs";
import { PASSWORD, newEmail } from "./client.mjs";
import { startSystem } from "./system.mjs";

let system;
before(async () => { system = await startSystem(); });
after(() => system?.stop());

/** A person who has two of one thing in the cart and is signed out everywhere. */
async function personWithCart() {
  const client = system.client();
  await client.register();
  await client.add("brass-key", 2);
  await client.post("/auth/logout", undefined, { status: 204 });
  return client.email;
}

async function guestWithCart() {
  const guest = system.client();
  await guest.add("brass-key", 3);
  await guest.add("key-ring", 1);
  return guest;
}

const MERGED = { "brass-key": 5, "key-ring": 1 };

test("a guest's cart survives registration, under a new cookie", async () => {
  const client = await guestWithCart();
  const guest = client.cookie;
  await client.register();
  assert.notEqual(client.cookie, guest);
  assert.deepEqual(await client.cart(), { "brass-key": 3, "key-ring": 1 });
  assert.equal(await client.who(guest), "nobody", "the guest's cookie is dead at once");
  client.cookie = guest;
  assert.deepEqual(await client.cart(), {}, "and holds nothing any more");
});

test("a guest's cart is added to the person's at login, once", async () => {
  const email = await personWithCart();
  const client = await guestWithCart();
  await client.login(email);
  for (let n = 0; n < 3; n += 1) assert.deepEqual(await client.cart(), MERGED);
});

test("the first requests after a login merge once, also when they come together", async () => {
  const email = await personWithCart();
  const client = await guestWithCart();
  await client.login(email);
  await Promise.all(Array.from({ length: 12 }, (_, n) => (n % 3 ? client.cart() : client.add("skeleton-key", 1))));
  assert.deepEqual(await client.cart(), { ...MERGED, "skeleton-key": 4 });
});

test("two logins at once with one guest's cookie merge once", async () => {
  for (let round = 0; round < 4; round += 1) {
    const email = await personWithCart();
    const guest = await guestWithCart();
    const tabs = [guest.copy(), guest.copy()];
    await Promise.all(tabs.map((tab) => tab.login(email)));
    assert.notEqual(tabs[0].cookie, tabs[1].cookie);
    await Promise.all(tabs.map((tab) => tab.cart()));
    for (const tab of tabs) assert.deepEqual(await tab.cart(), MERGED);
    assert.equal(await guest.who(), "nobody");
  }
});

test("two people who sign in with one guest's cookie do not both get its cart", async () => {
  const [ada, grace] = [await personWithCart(), await personWithCart()];
  const guest = await guestWithCart();
  const tabs = [guest.copy(), guest.copy()];
  await Promise.all([tabs[0].login(ada), tabs[1].login(grace)]);
  const carts = await Promise.all(tabs.map((tab) => tab.cart()));
  const rings = carts.map((cart) => cart["key-ring"] ?? 0);
  const keys = carts.map((cart) => cart["brass-key"]);
  assert.deepEqual([rings[0] + rings[1], keys[0] + keys[1]], [1, 7], JSON.stringify(carts));
});

test("a login whose answer was lost can be repeated with the guest's cookie", async () => {
  const email = await personWithCart();
  const client = await guestWithCart();
  const lost = await client.hangUp("POST", "/auth/login", { email, password: PASSWORD });
  await eventually("the guest's session to end", async () => (await client.who()) === "nobody");
  lost.destroy();
  await client.login(email);
  for (let n = 0; n < 2; n += 1) assert.deepEqual(await client.cart(), MERGED);
});

test("a registration whose answer was lost continues as a login", async () => {
  const client = await guestWithCart();
  const email = newEmail("lost");
  system.secrets.add(email);
  const lost = await client.hangUp("POST", "/auth/register", { email, password: PASSWORD });
  await eventually("the guest's session to end", async () => (await client.who()) === "nobody");
  lost.destroy();
  await client.post("/auth/register", { email, password: PASSWORD }, { status: 409 });
  await client.login(email);
  assert.deepEqual(await client.cart(), { "brass-key": 3, "key-ring": 1 });
});

test("a merge whose answer was lost is not repeated", async () => {
  const email = await personWithCart();
  const client = await guestWithCart();
  await client.login(email);
  const lost = await client.hangUp("GET", "/api/cart");
  lost.destroy();
  for (let n = 0; n < 2; n += 1) assert.deepEqual(await client.cart(), MERGED);
});

test("a merge stops at 99 of a thing", async () => {
  const person = system.client();
  await person.register();
  await person.add("brass-key", 98);
  const client = system.client();
  await client.add("brass-key", 50);
  await client.login(person.email);
  assert.deepEqual(await client.cart(), { "brass-key": 99 });
});

test("a guest's theme survives registration", async () => {
  const client = system.client();
  await client.patch("/api/profile", { theme: "dark" }, { status: 200 });
  await client.register();
  for (let n = 0; n < 2; n += 1) assert.equal((await client.get("/api/profile")).body.theme, "dark");
});

test("a person's own theme wins over the guest's", async () => {
  const person = system.client();
  await person.register();
  await person.patch("/api/profile", { theme: "light" }, { status: 200 });
  const client = system.client();
  await client.patch("/api/profile", { theme: "dark" }, { status: 200 });
  await client.login(person.email);
  assert.equal((await client.get("/api/profile")).body.theme, "light");
});

test("a failed login leaves the guest as it was", async () => {
  const client = await guestWithCart();
  const guest = client.cookie;
  await client.post("/auth/login", { email: newEmail(), password: PASSWORD }, { status: 401 });
  assert.equal(client.cookie, guest);
  assert.deepEqual(await client.cart(), { "brass-key": 3, "key-ring": 1 });
});

test("nothing secret was written", () => system.assertNothingSecretWritten());
