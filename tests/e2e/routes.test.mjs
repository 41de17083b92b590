// Each row of the route table: status, shape, cookie, caching. What every answer
// owes (request id, security headers, no token) is checked by the client itself.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { CLEAR, COOKIE, PASSWORD, SET, newEmail } from "./client.mjs";
import { startSystem } from "./system.mjs";

const NOBODY = { authenticated: false, guest: false };
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const SESSION = ["address", "amr", "authenticated_at", "created_at", "current", "expires_at", "id", "kind",
  "last_seen_at", "user_agent"];

let system;
before(async () => { system = await startSystem(); });
after(() => system?.stop());

function assertSession(session, kind) {
  const keys = kind === "guest" ? SESSION.filter((key) => key !== "authenticated_at") : SESSION;
  assert.deepEqual(Object.keys(session).sort(), keys);
  assert.match(session.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/, "UUIDv7");
  assert.equal(session.kind, kind);
  assert.equal(session.address, "127.0.0.1");
  for (const key of keys.filter((key) => key.endsWith("_at"))) assert.match(session[key], TIME, key);
}

async function registered(email) {
  const client = system.client();
  await client.register(email);
  return client;
}

/** Signs in the same person on another device. */
async function anotherDevice(client) {
  const other = system.client();
  await other.login(client.email);
  return other;
}

test("POST /auth/register: 201, a cookie, the user and the session", async () => {
  const client = system.client();
  const email = newEmail("Ada");
  const { body, setCookies } = await client.register(email);
  assert.match(setCookies[0], SET);
  assert.deepEqual(Object.keys(body).sort(), ["session", "user"]);
  assert.deepEqual(Object.keys(body.user).sort(), ["display_name", "email", "subject"]);
  assert.match(body.user.subject, /^usr_[0-9a-f-]{36}$/);
  assert.equal(body.user.display_name, "Ada");
  assertSession(body.session, "user");
  assert.deepEqual([body.session.amr, body.session.current], [["pwd"], true]);
});

test("POST /auth/register: no display name is needed", async () => {
  const email = newEmail();
  const { status, body } = await system.client().post("/auth/register", { email, password: PASSWORD });
  assert.equal(status, 201);
  assert.equal(typeof body.user.display_name, "string");
});

test("POST /auth/register: a taken address is 409, in any case, and no session", async () => {
  const { email } = await registered();
  const { body, setCookies } = await system.client().register(email.toUpperCase(), { status: 409 });
  assert.equal(body.reason, "EMAIL_TAKEN");
  assert.deepEqual(setCookies, []);
});

for (const [what, form] of [
  ["a short password", { password: "seven77" }],
  ["a long password", { password: "x".repeat(257) }],
  ["a common password", { password: "password1" }],
  ["an address that is none", { email: "nobody" }],
  ["an unknown member", { admin: true }],
  ["a number for a password", { password: 12345678 }],
  ["no password", { password: undefined }],
]) {
  test(`POST /auth/register: ${what} is 400 and no session`, async () => {
    const { setCookies } = await system.client().post("/auth/register",
      { email: newEmail(), password: PASSWORD, ...form }, { status: 400 });
    assert.deepEqual(setCookies, []);
  });
}

test("POST /auth/login: 200, a cookie, the user and the session", async () => {
  const first = await registered();
  const { body, setCookies } = await system.client().login(first.email);
  assert.match(setCookies[0], SET);
  assert.deepEqual(Object.keys(body).sort(), ["session", "user"]);
  assert.equal(body.user.email, first.email);
  assertSession(body.session, "user");
});

test("POST /auth/login: an unknown address and a wrong password look the same", async () => {
  const { email } = await registered();
  const tries = [[email, "wrong-horse-battery"], [newEmail("nobody"), PASSWORD]];
  const answers = [];
  for (const [address, password] of tries) {
    const answer = await system.client().post("/auth/login", { email: address, password }, { status: 401 });
    const { request_id: _, ...body } = answer.body;
    const { "x-request-id": __, date: ___, ...headers } = answer.headers;
    answers.push({ body, headers, cookies: answer.setCookies });
  }
  assert.deepEqual(answers[0], answers[1]);
  assert.equal(answers[0].body.reason, "LOGIN_REFUSED");
  assert.deepEqual(answers[0].cookies, []);
});

test("POST /auth/login: somebody else's session is not switched silently", async () => {
  const [ada, grace] = [await registered(), await registered()];
  await ada.add("brass-key", 1);
  const before = ada.cookie;
  const { body } = await ada.post("/auth/login", { email: grace.email, password: PASSWORD }, { status: 409 });
  assert.equal(body.reason, "ALREADY_SIGNED_IN");
  assert.equal(ada.cookie, before);
  assert.equal(await ada.who(), "user");
  assert.deepEqual(await grace.cart(), {});
});

test("POST /auth/logout: 204, the cookie cleared, the session over", async () => {
  const client = await registered();
  const old = client.cookie;
  const { setCookies, text } = await client.post("/auth/logout", undefined, { status: 204 });
  assert.deepEqual(setCookies, [CLEAR]);
  assert.equal(text, "");
  assert.equal(await client.who(old), "nobody");
});

test("POST /auth/logout: 204 also for nobody", async () => {
  await system.client().post("/auth/logout", undefined, { status: 204 });
});

test("GET /auth/session: nobody", async () => {
  const { body, setCookies } = await system.client().get("/auth/session", { status: 200 });
  assert.deepEqual(body, NOBODY);
  assert.deepEqual(setCookies, []);
});

test("GET /auth/session: a guest", async () => {
  const client = system.client();
  await client.add("brass-key", 1);
  const { body } = await client.get("/auth/session", { status: 200 });
  assert.deepEqual(Object.keys(body).sort(), ["authenticated", "guest", "session"]);
  assert.deepEqual([body.authenticated, body.guest], [false, true]);
  assertSession(body.session, "guest");
});

test("GET /auth/session: a person", async () => {
  const client = await registered();
  const { body } = await client.get("/auth/session", { status: 200 });
  assert.deepEqual(Object.keys(body).sort(), ["authenticated", "guest", "session", "user"]);
  assert.deepEqual([body.authenticated, body.guest, body.user.email], [true, false, client.email]);
  assertSession(body.session, "user");
});

test("GET /auth/session: a cookie that never was ours is nobody's, and stays unadopted", async () => {
  const client = system.client();
  for (const cookie of ["A".repeat(43), "short", "A".repeat(8000), "' OR 1=1 --", "%00", "é"]) {
    const { body, setCookies } = await client.get("/auth/session", { cookie, status: 200 });
    assert.deepEqual([body, setCookies], [NOBODY, []], cookie.slice(0, 20));
  }
});

test("GET /auth/sessions: the person's own devices", async () => {
  const client = await registered();
  const other = await anotherDevice(client);
  const { body } = await client.get("/auth/sessions", { status: 200 });
  assert.deepEqual(Object.keys(body), ["sessions"]);
  assert.equal(body.sessions.length, 2);
  body.sessions.forEach((session) => assertSession(session, "user"));
  assert.equal(body.sessions.filter(({ current }) => current).length, 1);
  const { body: fromOther } = await other.get("/auth/sessions", { status: 200 });
  const current = ({ sessions }) => sessions.find((session) => session.current).id;
  assert.notEqual(current(body), current(fromOther));
});

test("GET /auth/sessions shows the browser, made printable", async () => {
  const client = system.client();
  const headers = ["User-Agent", "Netscape\x80/1\t<b>"];
  await client.post("/auth/register", { email: newEmail(), password: PASSWORD }, { headers, status: 201 });
  const { body } = await client.get("/auth/sessions", { status: 200 });
  assert.equal(body.sessions[0].user_agent, "Netscape?/1?<b>");
});

for (const [method, path, json] of [
  ["GET", "/auth/sessions"], ["DELETE", "/auth/sessions"],
  ["DELETE", "/auth/sessions/01920000-0000-7000-8000-000000000000"],
  ["POST", "/auth/password", { current_password: PASSWORD, new_password: "another-horse" }],
]) {
  test(`${method} ${path}: 401 for guests and for nobody`, async () => {
    const guest = system.client();
    await guest.add("brass-key", 1);
    for (const client of [guest, system.client()]) {
      const { body, headers, setCookies } = await client.send(method, path, json, { status: 401 });
      assert.equal(body.reason, "SESSION_REQUIRED");
      assert.match(headers["www-authenticate"], /^Cookie realm="latchkey"/);
      assert.deepEqual(setCookies, []);
    }
  });
}

test("DELETE /auth/sessions/{id}: another device is signed out at once", async () => {
  const client = await registered();
  const other = await anotherDevice(client);
  await other.cart();
  const { body } = await other.get("/auth/session");
  const { setCookies } = await client.delete(`/auth/sessions/${body.session.id}`, { status: 204 });
  assert.deepEqual(setCookies, []);
  assert.equal(await other.who(), "nobody");
  await other.get("/auth/sessions", { status: 401 });
  assert.equal(await client.who(), "user");
});

test("DELETE /auth/sessions/{id}: one's own is a logout", async () => {
  const client = await registered();
  const { body } = await client.get("/auth/session");
  const { setCookies } = await client.delete(`/auth/sessions/${body.session.id}`, { status: 204 });
  assert.deepEqual(setCookies, [CLEAR]);
});

test("DELETE /auth/sessions/{id}: somebody else's is 404, like one that is none, and lives on", async () => {
  const [ada, grace] = [await registered(), await registered()];
  const { body } = await grace.get("/auth/session");
  const ids = [body.session.id, "01920000-0000-7000-8000-000000000000", "nonsense", body.session.id.toUpperCase()];
  for (const id of ids) {
    const answer = await ada.delete(`/auth/sessions/${id}`, { status: 404 });
    assert.deepEqual(answer.setCookies, [], id);
  }
  assert.equal(await grace.who(), "user");
});

test("DELETE /auth/sessions: all others, at once", async () => {
  const client = await registered();
  const others = [await anotherDevice(client), await anotherDevice(client)];
  const { setCookies } = await client.delete("/auth/sessions", { status: 204 });
  assert.deepEqual(setCookies, []);
  for (const other of others) assert.equal(await other.who(), "nobody");
  assert.equal(await client.who(), "user");
  const { body } = await client.get("/auth/sessions");
  assert.equal(body.sessions.length, 1);
});

test("POST /auth/password: 204, a new cookie, and no other session left", async () => {
  const client = await registered();
  const other = await anotherDevice(client);
  await other.cart();
  const old = client.cookie;
  const next = "another-horse-battery";
  client.secrets.add(next);
  const { setCookies } = await client.post("/auth/password",
    { current_password: PASSWORD, new_password: next }, { status: 204 });
  assert.match(setCookies[0], SET);
  assert.notEqual(client.cookie, old);
  assert.deepEqual([await client.who(), await client.who(old), await other.who()], ["user", "nobody", "nobody"]);
  await system.client().login(client.email, { status: 401 });
  await system.client().post("/auth/login", { email: client.email, password: next }, { status: 200 });
});

test("POST /auth/password: a wrong current one is 403 and changes nothing", async () => {
  const client = await registered();
  const { body, setCookies } = await client.post("/auth/password",
    { current_password: "wrong-horse-battery", new_password: "another-horse" }, { status: 403 });
  assert.equal(body.reason, "PASSWORD_WRONG");
  assert.deepEqual(setCookies, []);
  assert.equal(await client.who(), "user");
  await system.client().login(client.email);
});

test("GET /api/products: anyone, no cookie", async () => {
  const { body, setCookies } = await system.client().get("/api/products", { status: 200 });
  assert.ok(body.length > 3);
  assert.deepEqual(Object.keys(body[0]).sort(), ["currency", "description", "name", "sku", "unit_price_minor"]);
  assert.match(body[0].unit_price_minor, /^\d+$/, "64-bit integers are strings");
  assert.deepEqual(setCookies, []);
});

test("GET /api/cart: empty for nobody, and no session is made", async () => {
  const client = system.client();
  const { body, setCookies } = await client.get("/api/cart", { status: 200 });
  assert.deepEqual([body.lines, body.item_count, body.total_minor], [[], 0, "0"]);
  assert.deepEqual(setCookies, []);
});

test("POST /api/cart/items: a guest gets a cookie and the line", async () => {
  const { body, setCookies } = await system.client().add("brass-key", 3);
  assert.match(setCookies[0], SET);
  assert.deepEqual(Object.keys(body).sort(), ["currency", "item_count", "lines", "total_minor", "updated_at"]);
  assert.deepEqual(body.lines[0],
    { sku: "brass-key", name: "Brass key", quantity: 3, unit_price_minor: "450", line_total_minor: "1350" });
  assert.deepEqual([body.item_count, body.total_minor, body.currency], [3, "1350", "EUR"]);
  assert.match(body.updated_at, TIME);
});

test("POST /api/cart/items: a second time adds up, with no second cookie", async () => {
  const client = system.client();
  await client.add("brass-key", 3);
  const { setCookies } = await client.add("brass-key", 4);
  assert.deepEqual(setCookies, []);
  assert.deepEqual(await client.cart(), { "brass-key": 7 });
});

for (const [what, item] of [
  ["nothing of it", { sku: "brass-key", quantity: 0 }], ["fewer than nothing", { sku: "brass-key", quantity: -1 }],
  ["a hundred", { sku: "brass-key", quantity: 100 }], ["what is not sold", { sku: "moon", quantity: 1 }],
  ["an unknown member", { sku: "brass-key", quantity: 1, price: 1 }], ["half of it", { sku: "brass-key", quantity: 0.5 }],
  ["more than 32 bits of it", { sku: "brass-key", quantity: 4294967297 }], ["words for it", { sku: "brass-key", quantity: "two" }],
]) {
  test(`POST /api/cart/items: ${what} is 400 and changes nothing`, async () => {
    const client = await registered();
    await client.add("key-ring", 1);
    await client.add(item.sku, 0, { status: 400 });
    await client.post("/api/cart/items", item, { status: 400 });
    assert.deepEqual(await client.cart(), { "key-ring": 1 });
  });
}

test("PATCH and DELETE /api/cart/items/{sku}, DELETE /api/cart", async () => {
  const client = await registered();
  await client.add("brass-key", 1);
  await client.add("key-ring", 2);
  await client.patch("/api/cart/items/brass-key", { quantity: 9 }, { status: 200 });
  assert.deepEqual(await client.cart(), { "brass-key": 9, "key-ring": 2 });
  await client.delete("/api/cart/items/brass-key", { status: 200 });
  assert.deepEqual(await client.cart(), { "key-ring": 2 });
  await client.patch("/api/cart/items/skeleton-key", { quantity: 1 }, { status: 404 });
  const { body } = await client.delete("/api/cart", { status: 200 });
  assert.deepEqual(body.lines, []);
  assert.deepEqual(await client.cart(), {});
});

test("GET /api/profile: defaults for nobody, and no session", async () => {
  const { body, setCookies } = await system.client().get("/api/profile", { status: 200 });
  assert.deepEqual(Object.keys(body).sort(), ["currency", "display_name", "locale", "subject", "theme"]);
  assert.deepEqual([body.subject, body.theme], ["anonymous", "system"]);
  assert.deepEqual(setCookies, []);
});

test("PATCH /api/profile: only what is named changes", async () => {
  const client = await registered();
  const { body: account } = await client.get("/auth/session");
  const { body } = await client.patch("/api/profile", { theme: "dark", locale: "de-CH" }, { status: 200 });
  assert.deepEqual([body.theme, body.locale, body.subject], ["dark", "de-CH", account.user.subject]);
  await client.patch("/api/profile", { currency: "CHF", display_name: "  Ada L.  " }, { status: 200 });
  const { body: again } = await client.get("/api/profile");
  assert.deepEqual([again.theme, again.locale, again.currency, again.display_name], ["dark", "de-CH", "CHF", "Ada L."]);
});

for (const [field, value] of [
  ["theme", "blue"], ["locale", "not a locale"], ["currency", "euro"], ["display_name", "x".repeat(81)], ["unknown", "x"],
]) {
  test(`PATCH /api/profile: a bad ${field} is 400 and changes nothing`, async () => {
    const client = await registered();
    const { body: before } = await client.get("/api/profile");
    await client.patch("/api/profile", { [field]: value }, { status: 400 });
    assert.deepEqual((await client.get("/api/profile")).body, before);
  });
}

for (const path of ["/", "/sign-in", "/profile", "/devices"]) {
  test(`GET ${path}: a page with a strict policy and no cookie`, async () => {
    const { headers, setCookies } = await system.client().get(path, { status: 200 });
    assert.equal(headers["content-type"], "text/html; charset=utf-8");
    assert.match(headers["content-security-policy"], /script-src 'self'; style-src 'self'/);
    assert.deepEqual(setCookies, []);
  });
}

for (const path of ["/livez", "/readyz", "/metrics", "/.well-known/jwks.json", "/grpc.health.v1.Health/Check",
  "/latchkey.cart.v1.CartService/GetCart", "/api/latchkey.auth.v1.TokenService/ExchangeSession", "/api", "/auth", "/auth/x"]) {
  test(`${path} is not on the public port`, async () => {
    const client = system.client();
    await client.get(path, { status: 404 });
    assert.ok([404, 405].includes((await client.post(path, {})).status));
  });
}

test("every program answers on its own operations port", async () => {
  for (const [name, port] of Object.entries(system.operations)) {
    for (const path of ["/livez", "/readyz", "/metrics"]) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      assert.equal(response.status, 200, `${name} ${path}`);
      assert.equal(response.headers.get("cache-control"), "no-store");
      await response.text();
    }
  }
});

test("the JWKS is cacheable, has an entity tag and public keys only", async () => {
  const url = `http://127.0.0.1:${system.ports.authHttp}/.well-known/jwks.json`;
  const response = await fetch(url);
  const { keys } = await response.json();
  assert.match(response.headers.get("cache-control"), /^public, max-age=\d+$/);
  assert.ok(keys.length > 0);
  for (const key of keys) {
    assert.deepEqual([key.kty, key.crv, key.alg, key.use], ["OKP", "Ed25519", "EdDSA", "sig"]);
    assert.ok(!("d" in key));
  }
  const again = await fetch(url, { headers: { "if-none-match": response.headers.get("etag") } });
  assert.equal(again.status, 304);
});

test("a wrong method on a known path is 405 with Allow", async () => {
  const client = system.client();
  for (const [method, path] of [["GET", "/auth/login"], ["PUT", "/api/cart"], ["DELETE", "/auth/session"], ["POST", "/"]]) {
    const { headers } = await client.send(method, path, undefined, { status: 405 });
    assert.ok(headers.allow, `${method} ${path}`);
  }
});

test("nothing secret was written", () => system.assertNothingSecretWritten());

test("the cookie's name is the one that browsers guard", () => assert.ok(COOKIE.startsWith("__Host-Http-")));
