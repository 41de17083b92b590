// Programs that die and stop under use: an outage is never a logout, and a stop fails
// no request.

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, beforeEach, test } from "node:test";

import { eventually } from "../harness/processes.mjs";
import { PASSWORD } from "./client.mjs";
import { startSystem } from "./system.mjs";

let system;
before(async () => { system = await startSystem(); });
beforeEach(() => system.heal());
after(() => system?.stop());

async function registered() {
  const client = system.client();
  await client.register();
  await client.add("brass-key", 2);
  return client;
}

/** Asks until it is 200; until then each answer is a 503 that leaves the cookie alone. */
function back(client, path) {
  return eventually(`${path} to be back`, async () => {
    const { status, setCookies } = await client.get(path);
    if (status === 200) return true;
    assert.deepEqual([status, setCookies], [503, []]);
    return false;
  });
}

test("kill -9 of the auth service: 503 and the cookie stays; after its restart the session is valid", async () => {
  const client = await registered();
  const guest = system.client();
  await guest.add("key-ring", 1);
  const fresh = system.client();
  await fresh.register();
  const cookie = client.cookie;
  await client.cart();
  await system.kill("auth-service");
  assert.deepEqual(await client.cart(), { "brass-key": 2 }, "a token that is held still serves");
  const refused = [
    [client, "GET", "/auth/session"], [client, "GET", "/auth/sessions"], [client, "POST", "/auth/logout"],
    [client, "POST", "/auth/login", { email: client.email, password: PASSWORD }],
    [client, "DELETE", "/auth/sessions"], [guest, "GET", "/auth/session"],
    // Nobody holds a token of this one yet.
    [fresh, "GET", "/api/cart"], [fresh, "POST", "/api/cart/items", { sku: "brass-key", quantity: 1 }],
    [fresh, "PATCH", "/api/profile", { theme: "dark" }],
    [system.client(), "POST", "/api/cart/items", { sku: "brass-key", quantity: 1 }],
    [system.client(), "POST", "/auth/login", { email: client.email, password: PASSWORD }],
  ];
  for (const [who, method, path, json] of refused) {
    const { setCookies, headers } = await who.send(method, path, json, { status: 503 });
    assert.deepEqual(setCookies, [], `${method} ${path}`);
    assert.match(headers["retry-after"], /^\d+$/);
  }
  await system.restart("auth-service");
  await back(client, "/auth/session");
  assert.equal(client.cookie, cookie);
  assert.equal(await client.who(), "user");
  assert.equal(await guest.who(), "guest");
  await back(fresh, "/api/cart");
  await fresh.add("brass-key", 1);
  assert.deepEqual(await fresh.cart(), { "brass-key": 1 });
});

for (const [path, killed] of [["/auth/session", "auth-service"], ["/auth/sessions", "auth-service"],
  ["/api/profile", "auth-service"], ["/api/cart", "cart-service"], ["/api/profile", "profile-service"]]) {
  test(`requests of ${path} that are under way when ${killed} is killed get 503`, async () => {
    const client = await registered();
    for (let round = 0; round < 3; round += 1) {
      const underWay = Array.from({ length: 30 }, () => client.get(path));
      await underWay[0];
      await system.kill(killed);
      for (const answer of await Promise.all(underWay)) {
        assert.ok([200, 503].includes(answer.status), `${answer.status} ${answer.text}`);
        assert.deepEqual(answer.setCookies, []);
      }
      await system.heal();
      assert.equal(await client.who(), "user");
    }
  });
}

test("logins that are under way when the auth service is killed get 503 and can be repeated", async () => {
  const client = await registered();
  await client.post("/auth/logout", undefined, { status: 204 });
  const tabs = Array.from({ length: 6 }, () => client.copy());
  const underWay = tabs.map((tab) => tab.login(client.email, {}));
  await underWay[0];
  await system.kill("auth-service");
  for (const { status, text } of await Promise.all(underWay)) assert.ok([200, 503].includes(status), `${status} ${text}`);
  await system.heal();
  await client.login(client.email);
  assert.deepEqual(await client.cart(), { "brass-key": 2 });
});

test("a logout that met an outage can be repeated", async () => {
  const client = await registered();
  const cookie = client.cookie;
  await system.kill("auth-service");
  await client.post("/auth/logout", undefined, { status: 503 });
  await system.restart("auth-service");
  await back(client, "/auth/session");
  await client.post("/auth/logout", undefined, { status: 204 });
  assert.equal(await client.who(cookie), "nobody");
});

test("a session that was ended before the kill is over after the restart", async () => {
  const client = await registered();
  const cookie = client.cookie;
  await client.post("/auth/logout", undefined, { status: 204 });
  await system.kill("auth-service");
  await system.restart("auth-service");
  client.cookie = cookie;
  await back(client, "/auth/session");
  assert.equal(await client.who(), "nobody");
});

test("tokens from before the auth service's restart still verify, and so do those after it", async () => {
  const client = await registered();
  await system.kill("auth-service");
  await system.restart("auth-service");
  assert.deepEqual(await client.cart(), { "brass-key": 2 });
  const other = system.client();
  await back(client, "/auth/session");
  await other.login(client.email);
  assert.deepEqual(await other.cart(), { "brass-key": 2 });
});

test("kill -9 of the cart service: 503, the rest works, and nothing acknowledged is lost", async () => {
  const client = await registered();
  await client.add("key-ring", 4);
  await system.kill("cart-service");
  for (const [method, path, json] of [
    ["GET", "/api/cart"], ["POST", "/api/cart/items", { sku: "brass-key", quantity: 1 }], ["GET", "/api/products"],
  ]) {
    const { setCookies } = await client.send(method, path, json, { status: 503 });
    assert.deepEqual(setCookies, []);
  }
  await client.get("/api/profile", { status: 200 });
  assert.equal(await client.who(), "user");
  await system.restart("cart-service");
  await back(client, "/api/cart");
  assert.deepEqual(await client.cart(), { "brass-key": 2, "key-ring": 4 });
});

test("clients that hang up in a flood take nobody else's requests with them", async () => {
  const [flooder, bystander] = await Promise.all([registered(), registered()]);
  let over = false;
  const flood = Array.from({ length: 20 }, async () => {
    while (!over) {
      const request = await flooder.hangUp("GET", "/api/cart");
      await new Promise((resolve) => setTimeout(resolve, 4));
      request.destroy();
    }
  });
  for (let round = 0; round < 200; round += 1) {
    const { status, text } = await bystander.get(round % 2 ? "/api/cart" : "/auth/session");
    assert.equal(status, 200, text);
  }
  over = true;
  await Promise.all(flood);
  for (const [name, log] of Object.entries(system.logs)) assert.doesNotMatch(log, /reset streams reached limit|pending-accept/, name);
});

test("a guest's cart waits for a cart service that is away at login", async () => {
  const person = await registered();
  const client = system.client();
  await client.add("brass-key", 3);
  await system.kill("cart-service");
  await client.login(person.email);
  await client.get("/api/cart", { status: 503 });
  await system.restart("cart-service");
  await back(client, "/api/cart");
  assert.deepEqual(await client.cart(), { "brass-key": 5 });
});

test("a cart service that dies while guests are merged merges each of them once", async () => {
  const logins = await Promise.all(Array.from({ length: 6 }, async () => {
    const person = await registered();
    const client = system.client();
    await client.add("brass-key", 3);
    await client.login(person.email);
    return client;
  }));
  const underWay = logins.map((client) => client.get("/api/cart"));
  await system.kill("cart-service");
  for (const answer of underWay) {
    const { status, text } = await answer;
    assert.ok([200, 503].includes(status), `${status} ${text}`);
  }
  await system.restart("cart-service");
  await back(logins[0], "/api/cart");
  for (const client of logins) assert.deepEqual(await client.cart(), { "brass-key": 5 });
});

/** Asks again and again over one kept connection until the gateway takes no more. */
async function keepAsking(client, quantity, tally) {
  const asking = client.copy();
  asking.agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (;;) {
    try {
      const { status } = quantity && tally.added < 99
        ? await asking.add("skeleton-key", 1, {}) : await asking.get("/api/cart");
      if (status !== 200) tally.failed.push(status);
      else if (quantity && tally.added < 99) tally.added += 1;
      tally.answered += 1;
    } catch (error) {
      if (error.code !== "ECONNREFUSED") tally.failed.push(error.code ?? error.message);
      asking.agent.destroy();
      return;
    }
  }
}

test("SIGTERM of the gateway under load: no request fails but connects that are refused", async () => {
  const client = await registered();
  const tally = { answered: 0, added: 0, failed: [] };
  const load = Array.from({ length: 8 }, (_, n) => keepAsking(client, n === 0, tally));
  await eventually("the load to be on", () => tally.answered > 100);
  const gateway = system.parts.programs.gateway;
  gateway.signal("SIGTERM");
  await Promise.all(load);
  assert.deepEqual(tally.failed, []);
  assert.equal(await gateway.ended, "ended with 0");
  await system.restart("gateway");
  assert.deepEqual(await client.cart(), { "brass-key": 2, "skeleton-key": tally.added });
});

for (const name of ["auth-service", "cart-service", "profile-service"]) {
  test(`SIGTERM of ${name} ends it in order`, async () => {
    const program = system.parts.programs[name];
    program.signal("SIGTERM");
    assert.equal(await program.ended, "ended with 0");
    await system.restart(name);
  });
}

test("nothing secret was written", () => system.assertNothingSecretWritten());
