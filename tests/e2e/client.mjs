// A browser as far as HTTP goes, and cruder tools for what no browser sends.

import assert from "node:assert/strict";
import http from "node:http";
import net from "node:net";

export const COOKIE = "__Host-Http-session";
export const SET = new RegExp(`^${COOKIE}=([A-Za-z0-9_-]{43}); Secure; HttpOnly; SameSite=Lax; Path=/$`);
export const CLEAR = `${COOKIE}=; Secure; HttpOnly; SameSite=Lax; Path=/; Max-Age=0`;
export const PASSWORD = "correct-horse-battery";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const LIMIT_MS = 20_000;

let people = 0;
export function newEmail(name = "person") {
  people += 1;
  return `${name}.${people}.${process.pid}@canary.example`;
}

/** One request with exactly these header lines, `[name, value, name, value, …]`. */
export function exchange(port, { method = "GET", path = "/", headers = [], body, agent = false }) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: "127.0.0.1", port, method, path, headers, agent, timeout: LIMIT_MS });
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error(`${method} ${path}: no answer in ${LIMIT_MS} ms`)));
    request.on("response", (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve(answer(response, Buffer.concat(chunks).toString())));
    });
    request.end(body);
  });
}

function answer({ statusCode: status, headers, rawHeaders }, text) {
  const setCookies = headers["set-cookie"] ?? [];
  const isJson = /json/.test(headers["content-type"] ?? "");
  return { status, headers, rawHeaders, setCookies, text, body: isJson && text ? JSON.parse(text) : undefined };
}

/** A JWT's header and the beginning of its claims. "eyJ" alone is in some cookies by chance. */
export const TOKEN = /eyJ[\w-]*\.eyJ/;

/** What every answer of the gateway owes. */
export function assertProper(answer, what) {
  const { status, headers, setCookies, text, rawHeaders } = answer;
  assert.match(headers["x-request-id"] ?? "", UUID, `${what}: request id`);
  assert.equal(headers["x-content-type-options"], "nosniff", what);
  assert.match(headers["content-security-policy"] ?? "", /^default-src 'none'/, what);
  assert.match(headers["content-security-policy"], /frame-ancestors 'none'/, what);
  assert.ok(!TOKEN.test(`${rawHeaders}${text}`), `${what}: a token left the inside`);
  assert.ok(setCookies.length <= 1, `${what}: ${setCookies}`);
  for (const line of setCookies) assert.ok(line === CLEAR || SET.test(line), `${what}: ${line}`);
  const isData = setCookies.length > 0 || answer.body !== undefined || status >= 400;
  const isPage = /^text\/html/.test(headers["content-type"] ?? "");
  if (isData && !isPage) assert.equal(headers["cache-control"], "no-store", `${what}: cache-control`);
  if (status >= 400 && !isPage && text !== "") assertProblem(answer, what);
}

function assertProblem({ status, headers, body }, what) {
  assert.equal(headers["content-type"], "application/problem+json", what);
  assert.equal(body.type, "about:blank", what);
  assert.equal(body.status, status, what);
  assert.match(body.reason, /^[A-Z][A-Z_]*$/, what);
  assert.equal(body.request_id, headers["x-request-id"], what);
  assert.ok(body.title && body.detail, what);
  assert.doesNotMatch(body.detail, /sqlx|tonic|panicked|\.rs\b|127\.0\.0\.1:\d/, `${what}: insides shown`);
  if (status === 503 || status === 429) assert.match(headers["retry-after"] ?? "", /^[1-9]\d*$/, `${what}: Retry-After`);
}

/** Somebody with a cookie jar for our one cookie. */
export class Client {
  constructor(port, secrets, cookie) {
    Object.assign(this, { port, secrets, cookie, agent: false });
    secrets.add(PASSWORD);
  }

  /** The same browser at another gateway, or another tab that does not share the jar. */
  copy(port = this.port) {
    return new Client(port, this.secrets, this.cookie);
  }

  async send(method, path, json, { headers, cookie = this.cookie, status } = {}) {
    const { lines, body } = this.request(method, json, headers, cookie);
    const answer = await exchange(this.port, { method, path, headers: lines, body, agent: this.agent });
    const what = `${method} ${path} → ${answer.status} ${answer.text.slice(0, 300)}`;
    assertProper(answer, what);
    if (status) assert.equal(answer.status, status, what);
    this.keep(answer.setCookies);
    return answer;
  }

  request(method, json, extra = [], cookie = this.cookie) {
    // A buffer, because node writes a string together with the head, and both in its encoding.
    const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json));
    const lines = ["Host", `localhost:${this.port}`, ...extra];
    if (method !== "GET" && method !== "HEAD") lines.push("Origin", `http://localhost:${this.port}`);
    if (cookie) lines.push("Cookie", `${COOKIE}=${cookie}`);
    if (body) lines.push("Content-Type", "application/json");
    // As browsers do; node would announce chunks.
    if (method !== "GET" && method !== "HEAD") lines.push("Content-Length", String(body?.length ?? 0));
    return { lines, body };
  }

  keep(setCookies) {
    for (const line of setCookies) {
      this.cookie = SET.exec(line)?.[1];
      if (this.cookie) this.secrets.add(this.cookie);
    }
  }

  get(path, options) { return this.send("GET", path, undefined, options); }
  post(path, json, options) { return this.send("POST", path, json, options); }
  patch(path, json, options) { return this.send("PATCH", path, json, options); }
  delete(path, options) { return this.send("DELETE", path, undefined, options); }

  async register(email = newEmail(), options = { status: 201 }) {
    this.secrets.add(email);
    this.email = email;
    return this.post("/auth/register", { email, password: PASSWORD, display_name: "Ada" }, options);
  }

  login(email, options = { status: 200 }) {
    this.email = email;
    return this.post("/auth/login", { email, password: PASSWORD }, options);
  }

  add(sku, quantity, options = { status: 200 }) {
    return this.post("/api/cart/items", { sku, quantity }, options);
  }

  /** `{sku: quantity}` */
  async cart() {
    const { body } = await this.get("/api/cart", { status: 200 });
    return Object.fromEntries(body.lines.map(({ sku, quantity }) => [sku, quantity]));
  }

  /** `nobody`, `guest` or `user`: what the session endpoint says of `cookie`. */
  async who(cookie = this.cookie) {
    const { body } = await this.get("/auth/session", { cookie, status: 200 });
    if (body.authenticated) return "user";
    return body.guest ? "guest" : "nobody";
  }

  /** Sends a request and hangs up as soon as it is out. */
  async hangUp(method, path, json) {
    const { lines, body } = this.request(method, json);
    const request = http.request({ host: "127.0.0.1", port: this.port, method, path, headers: lines, agent: false });
    request.on("error", () => {});
    await new Promise((resolve) => request.end(body, resolve));
    await new Promise((resolve) => setImmediate(resolve));
    return request;
  }
}

/** Sends `bytes` and tells what came back until the other side closed, or stopped talking. */
export function raw(port, bytes, { quiet = 1_000 } = {}) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    const chunks = [];
    const done = (closed) => {
      clearTimeout(timer);
      socket.destroy();
      const text = Buffer.concat(chunks).toString("latin1");
      resolve({ closed, text, status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]) || undefined });
    };
    let timer = setTimeout(() => done(false), LIMIT_MS);
    socket.on("connect", () => socket.write(bytes));
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      clearTimeout(timer);
      timer = setTimeout(() => done(false), quiet);
    });
    socket.on("close", () => done(true));
    socket.on("error", (error) => (error.code === "ECONNREFUSED" ? reject(error) : done(true)));
  });
}
