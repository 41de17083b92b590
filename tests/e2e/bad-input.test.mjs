// What no friend sends, to each listener: a clear refusal, nothing changed, and the
// program goes on serving.

import assert from "node:assert/strict";
import http2 from "node:http2";
import { after, before, test } from "node:test";

import { COOKIE, PASSWORD, assertProper, exchange, newEmail, raw } from "./client.mjs";
import { startSystem } from "./system.mjs";

const ITEM = JSON.stringify({ sku: "brass-key", quantity: 1 });
const ITEMS = "/api/cart/items";

let system;
let victim;
before(async () => {
  system = await startSystem();
  victim = system.client();
  await victim.register();
  await victim.add("key-ring", 1);
});
after(() => system?.stop());

/** Header lines of a good request, with `changes`: another value, several, or none. */
function lines(changes = {}) {
  const origin = `http://localhost:${system.ports.gateway}`;
  const headers = {
    Host: `localhost:${system.ports.gateway}`, Origin: origin, Cookie: `${COOKIE}=${victim.cookie}`,
    "Content-Type": "application/json", ...changes,
  };
  return Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().filter((value) => value !== null).flatMap((value) => [name, value]));
}

/** Sends it, expects `status` (and `reason`), and that the victim's cart is as it was. */
async function check(what, { method = "POST", path = ITEMS, headers = {}, body = ITEM }, status, reason) {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
  const length = method === "GET" ? {} : { "Content-Length": String(bytes.length) };
  const answer = await exchange(system.ports.gateway,
    { method, path, headers: lines({ ...length, ...headers }), body: method === "GET" ? undefined : bytes });
  assertProper(answer, `${what} → ${answer.status} ${answer.text.slice(0, 200)}`);
  assert.equal(answer.status, status, `${what}: ${answer.text.slice(0, 200)}`);
  if (reason) assert.equal(answer.body.reason, reason, what);
  assert.deepEqual(answer.setCookies, [], what);
  assert.deepEqual(await victim.cart(), { "key-ring": 1 }, `${what} changed something`);
}

const deep = (depth) => "[".repeat(depth) + "]".repeat(depth);
const nested = (depth) => '{"sku":'.repeat(depth) + "1" + "}".repeat(depth);

for (const [what, body] of [
  ["no JSON", "sku=brass-key"], ["half a JSON", '{"sku": "brass-key"'], ["two of them", `${ITEM}${ITEM}`],
  ["nothing", ""], ["an array", `[${ITEM}]`], ["null", "null"], ["deep arrays", deep(10_000)], ["deep objects", nested(5_000)],
  ["a repeated member", '{"sku":"brass-key","quantity":1,"quantity":2}'],
  ["the same member in both spellings", '{"sku":"brass-key","sku":"key-ring","quantity":1}'],
  ["invalid UTF-8", Buffer.concat([Buffer.from('{"quantity":1,"sku":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])],
  ["a lone surrogate", '{"quantity":1,"sku":"\\ud800"}'], ["NUL", '{"quantity":1,"sku":"brass-key\\u0000"}'],
  ["a byte order mark", `\ufeff${ITEM}`], ["NaN", '{"sku":"brass-key","quantity":NaN}'],
  ["a number beyond all", '{"sku":"brass-key","quantity":1e400}'], ["a long SKU", JSON.stringify({ sku: "x".repeat(10_000), quantity: 1 })],
  ["SQL", JSON.stringify({ sku: "x'; DROP TABLE lines; --", quantity: 1 })],
]) {
  test(`gateway: a body of ${what} is 400`, () => check(what, { body }, 400));
}

for (const [what, body] of [
  ["half a JSON", '{"email":'], ["deep JSON", `{"email":${deep(10_000 / 4)}}`], ["null", "null"],
  ["invalid UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])], ["a repeated member", '{"email":"a","email":"b","password":"c"}'],
]) {
  test(`gateway: a login of ${what} is 400`, () =>
    check(what, { path: "/auth/login", body }, 400));
}

test("gateway: an oversized body is 413, announced or in chunks", async () => {
  const huge = JSON.stringify({ sku: "x".repeat(1 << 20), quantity: 1 });
  const announced = await raw(system.ports.gateway, head("POST", ITEMS, ["Content-Length: 10000000000"]));
  assert.equal(announced.status, 413);
  const chunks = `${huge.length.toString(16)}\r\n${huge}\r\n0\r\n\r\n`;
  const chunked = await raw(system.ports.gateway, head("POST", ITEMS, ["Transfer-Encoding: chunked"]) + chunks);
  assert.equal(chunked.status, 413);
  const login = await raw(system.ports.gateway, head("POST", "/auth/login", ["Content-Length: 100000"]));
  assert.equal(login.status, 413);
  assert.deepEqual(await victim.cart(), { "key-ring": 1 });
});

test("gateway: a password of a megabyte is refused without being hashed", async () => {
  const body = JSON.stringify({ email: newEmail(), password: "x".repeat(1 << 20) });
  const answer = await raw(system.ports.gateway, head("POST", "/auth/login", [`Content-Length: ${body.length}`]));
  assert.equal(answer.status, 413);
});

/** A raw head with the victim's cookie. */
function head(method, path, more = [], { host = `localhost:${system.ports.gateway}`, version = "1.1" } = {}) {
  return [`${method} ${path} HTTP/${version}`, `Host: ${host}`, `Origin: http://localhost:${system.ports.gateway}`,
    `Cookie: ${COOKIE}=${victim.cookie}`, "Content-Type: application/json", ...more, "", ""].join("\r\n");
}

test("gateway: two session cookies are 400, whatever their order, header and worth", async () => {
  const [mine, evil] = [`${COOKIE}=${victim.cookie}`, `${COOKIE}=${"A".repeat(43)}`];
  for (const Cookie of [`${mine}; ${evil}`, `${evil}; ${mine}`, [mine, evil], [evil, mine], `${mine}; ${mine}`, `${mine};${COOKIE}=x`]) {
    await check(String(Cookie), { headers: { Cookie } }, 400, "CREDENTIAL_AMBIGUOUS");
  }
});

test("gateway: cookies that only look like ours are somebody else's", async () => {
  for (const name of ["__host-http-session", "__HOST-HTTP-SESSION", "__Host-session", "session"]) {
    const cookie = `${name}=${"A".repeat(43)}; ${COOKIE}=${victim.cookie}`;
    const answer = await exchange(system.ports.gateway, { path: "/auth/session", headers: lines({ Cookie: cookie }) });
    assert.equal(answer.body.authenticated, true, name);
  }
});

test("gateway: cookie and authorization together are 400", async () => {
  for (const Authorization of ["Bearer x", `Bearer ${victim.cookie}`, "Basic eDp4", ""]) {
    await check(Authorization, { headers: { Authorization } }, 400, "CREDENTIAL_AMBIGUOUS");
    await check(Authorization, { method: "GET", path: "/auth/session", headers: { Authorization } }, 400, "CREDENTIAL_AMBIGUOUS");
  }
});

test("gateway: a session cookie's value is no bearer token, nor is anything else", () =>
  check("bearer", { headers: { Cookie: null, Authorization: `Bearer ${victim.cookie}` } }, 401, "BEARER_NOT_ACCEPTED"));

for (const [what, headers] of [
  ["no origin", { Origin: null }], ["another site", { Origin: "https://evil.example" }], ["null", { Origin: "null" }],
  ["another port", { Origin: "http://localhost:1" }], ["another scheme", { Origin: "https://localhost" }],
  ["a look-alike", { Origin: "http://localhost.evil.example" }], ["cross-site", { "Sec-Fetch-Site": "cross-site" }],
  ["same-site", { "Sec-Fetch-Site": "same-site" }], ["none", { "Sec-Fetch-Site": "none" }],
  ["both", { "Sec-Fetch-Site": ["same-origin", "cross-site"] }],
]) {
  test(`gateway: an unsafe request of ${what} is 403`, async () => {
    await check(what, { headers }, 403, "CSRF_REFUSED");
    await check(what, { headers, path: "/auth/logout", body: "" }, 403, "CSRF_REFUSED");
    const login = JSON.stringify({ email: victim.email, password: PASSWORD });
    await check(what, { headers: { ...headers, Cookie: null }, path: "/auth/login", body: login }, 403, "CSRF_REFUSED");
  });
}

for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx",
  "application/json; charset=utf-7", null]) {
  test(`gateway: a body of type ${type} is 415`, () => check(type, { headers: { "Content-Type": type } }, 415));
}

test("gateway: a compressed body is 415", () => check("gzip", { headers: { "Content-Encoding": "gzip" } }, 415));

test("gateway: a method in a header or the query changes no method", async () => {
  for (const [path, headers] of [
    ["/api/cart", { "X-HTTP-Method-Override": "DELETE" }], ["/api/cart", { "X-Method-Override": "DELETE" }],
  ]) await check("override", { method: "GET", path, headers }, 200);
  await check("override", { method: "GET", path: "/api/cart?_method=DELETE" }, 400);
});

test("gateway: who one is, no header says", async () => {
  const headers = lines({ "X-User-Id": "usr_1", "X-Forwarded-User": "root", "Grpc-Metadata-Authorization": "Bearer x",
    "x-internal-token": "x", "grpc-timeout": "1n", Cookie: null });
  const { body } = await exchange(system.ports.gateway, { path: "/api/profile", headers });
  assert.equal(body.subject, "anonymous");
});

test("gateway: an address that a client claims is not believed", async () => {
  const client = system.client();
  const headers = ["X-Forwarded-For", "203.0.113.9", "Forwarded", "for=203.0.113.9", "X-Real-IP", "203.0.113.9"];
  const { body } = await client.post("/auth/login", { email: victim.email, password: PASSWORD }, { headers, status: 200 });
  assert.equal(body.session.address, "127.0.0.1");
});

for (const [host, status] of [["evil.example", 421], ["localhost", 421], ["localhost:1", 421], ["", 400], ["a b", 421]]) {
  test(`gateway: the host "${host}" is ${status}`, async () => {
    const answer = await raw(system.ports.gateway, head("GET", "/api/cart", ["Connection: close"], { host }));
    assert.equal(answer.status, status, answer.text);
  });
}

test("gateway: no host, and two of them, are 400", async () => {
  const none = await raw(system.ports.gateway, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  assert.equal(none.status, 400);
  const two = await raw(system.ports.gateway, head("GET", "/", ["Host: evil.example", "Connection: close"]));
  assert.equal(two.status, 400);
});

for (const path of ["/auth/../api/cart", "/api//cart", "//api/cart", "/api/./cart", "/api/%2e%2e/cart", "/api%2fcart", "/api/cart;x=1",
  "/api\\cart", "/api/%63art", "/api/cart%00", "/api/cart%", "/assets/../../Cargo.toml", "/assets/%2e%2e/%2e%2e/etc/passwd"]) {
  test(`gateway: the path ${path} is 400`, async () => {
    const answer = await raw(system.ports.gateway, head("GET", path, ["Connection: close"]));
    assert.equal(answer.status, 400, answer.text);
  });
}

for (const [what, bytes, status] of [
  ["an absolute target", () => head("GET", "http://evil.example/api/cart"), 400],
  ["a fragment", () => head("GET", "/api/cart#x"), 400],
  ["garbage", () => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400],
  ["a target of 9 KiB", () => head("GET", `/${"x".repeat(9 << 10)}`), 414],
  ["a header of 100 KiB", () => head("GET", "/", [`X-Large: ${"x".repeat(100 << 10)}`]), 431],
  ["a thousand headers", () => head("GET", "/", Array.from({ length: 1000 }, (_, n) => `X-${n}: 1`)), 431],
  ["length and chunks", () => head("POST", ITEMS, ["Content-Length: 5", "Transfer-Encoding: chunked"]) + "0\r\n\r\n", 400],
  ["two lengths", () => head("POST", ITEMS, ["Content-Length: 5", "Content-Length: 6"]) + "12345", 400],
  ["a signed length", () => head("POST", ITEMS, ["Content-Length: +5"]) + "12345", 400],
  ["a folded header", () => head("GET", "/", ["X-A: 1\r\n continued"]), 400],
  ["a space before the colon", () => head("GET", "/", ["X-User-Id : 1"]), 400],
  ["odd chunks", () => head("POST", ITEMS, ["Transfer-Encoding: chunked"]) + "zz\r\n", 400],
  ["an odd coding", () => head("POST", ITEMS, ["Transfer-Encoding: chunked, identity"]) + "0\r\n\r\n", 400],
]) {
  test(`gateway: ${what} is ${status}`, async () => {
    const answer = await raw(system.ports.gateway, bytes());
    assert.equal(answer.status, status, answer.text.slice(0, 300));
    assert.deepEqual(await victim.cart(), { "key-ring": 1 });
  });
}

test("gateway: query members that no message has are 400", () =>
  check("query", { method: "GET", path: "/api/cart?subject=usr_1" }, 400));

test("gateway: a request that breaks off costs nobody anything", async () => {
  await victim.hangUp("POST", ITEMS).then((request) => request.destroy());
  await raw(system.ports.gateway, head("POST", "/auth/login", ["Content-Length: 100"]) + "{", { quiet: 50 });
  assert.deepEqual(await victim.cart(), { "key-ring": 1 });
});

const OPERATIONS = ["gateway", "auth-service", "cart-service", "profile-service"];

/** The two plain HTTP listeners refuse the same things in the same way. */
async function checkPlain(port, good, tooLong) {
  const ask = (start, more = "") => raw(port, `${start} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${more}\r\n`);
  for (const path of ["/", "/nothing", `${good}/`, `/x/..${good}`, `/${good}`]) {
    assert.equal((await ask(`GET ${path}`)).status, 404, path);
  }
  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
    assert.equal((await ask(`${method} ${good}`, "Content-Length: 0\r\n")).status, 405, method);
  }
  assert.equal((await ask(`GET /${"x".repeat(tooLong)}`)).status, 414);
  assert.equal((await ask(`GET ${good}`, `X: ${"x".repeat(200 << 10)}\r\n`)).status, 431);
  assert.equal((await ask(`GET ${good}`, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")).status, 400);
  assert.equal((await raw(port, Buffer.from([0, 1, 2, 255, 254, 13, 10, 13, 10]))).status, 400);
  const answer = await ask(`GET ${good}`);
  assert.equal(answer.status, 200, answer.text);
}

for (const name of OPERATIONS) {
  test(`${name}: the operations listener refuses what it does not know, and serves on`, () =>
    checkPlain(system.operations[name], "/livez", 2 << 10));
}

test("auth-service: the JWKS listener refuses what it does not know, and serves on", () =>
  checkPlain(system.ports.authHttp, "/.well-known/jwks.json", 9 << 10));

/** A gRPC call with an empty message (or `message`); its HTTP status and gRPC status. */
function call(port, path, headers = {}, message = Buffer.alloc(5)) {
  return new Promise((resolve, reject) => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on("error", reject);
    const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", ...headers });
    const found = {};
    const note = (headers) => {
      if (headers[":status"]) found.http = headers[":status"];
      if (headers["grpc-status"]) found.grpc = Number(headers["grpc-status"]);
    };
    stream.on("response", note);
    stream.on("trailers", note);
    stream.on("error", (error) => { found.error = error.code; });
    stream.on("close", () => { session.destroy(); resolve(found); });
    stream.resume();
    stream.end(message);
  });
}

const GRPC = { "auth-service": "authGrpc", "cart-service": "cart", "profile-service": "profile" };
const HEALTH = "/grpc.health.v1.Health/Check";
const OK = 0;
const UNAUTHENTICATED = 16;

for (const [name, listener] of Object.entries(GRPC)) {
  test(`${name}: the gRPC listener ends garbage and HTTP/1.1, and serves on`, async () => {
    const port = system.ports[listener];
    for (const bytes of [
      Buffer.from([0, 1, 2, 3, 255, 254, 253, 13, 10, 13, 10]), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame at all, surely",
      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "POST /latchkey.cart.v1.CartService/GetCart HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
      Buffer.alloc(100_000, 0x41),
    ]) {
      const { status, text } = await raw(port, bytes);
      assert.ok(status === undefined || (status >= 400 && status < 500), `${String(bytes).slice(0, 40)}: ${text.slice(0, 100)}`);
      assert.deepEqual(await call(port, HEALTH), { http: 200, grpc: OK });
    }
  });

  test(`${name}: without a token no RPC answers, known or not, whatever its message`, async () => {
    const port = system.ports[listener];
    const huge = Buffer.alloc(8 << 20);
    for (const path of ["/latchkey.cart.v1.CartService/GetCart", "/latchkey.profile.v1.ProfileService/GetProfile",
      "/latchkey.auth.v1.TokenService/ExchangeSession", "/no.such.Service/Method", "/"]) {
      for (const headers of [{}, { authorization: "Bearer x" }, { authorization: `Bearer ${victim.cookie}` }, { cookie: `${COOKIE}=${victim.cookie}` }]) {
        assert.equal((await call(port, path, headers)).grpc, UNAUTHENTICATED, `${path} ${JSON.stringify(headers)}`);
      }
    }
    const { grpc, error } = await call(port, "/latchkey.cart.v1.CartService/GetCart", {}, huge);
    assert.ok(grpc === UNAUTHENTICATED, `before the message is read: ${grpc} ${error}`);
    assert.deepEqual(await call(port, HEALTH), { http: 200, grpc: OK });
  });
}

test("all programs are still the ones that were started", async () => {
  for (const name of OPERATIONS) assert.ok(system.isRunning(name), name);
  assert.deepEqual(await victim.cart(), { "key-ring": 1 });
  assert.equal(await victim.who(), "user");
});

test("nothing secret was written", () => system.assertNothingSecretWritten());
