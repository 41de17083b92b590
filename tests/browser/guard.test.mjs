// What the pages and the gateway must not let happen, tried in a real browser.

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";

import { startLatchkey } from "../harness/processes.mjs";
import { launch, newWindow } from "./chromium.mjs";
import { PASSWORD, addToCart, cartOnPage, newEmail, register, signIn, skus } from "./steps.mjs";

let latchkey;
let browser;
let origin;
let attacker;

before(async () => {
  latchkey = await startLatchkey();
  origin = latchkey.printed;
  browser = await launch();
  attacker = await startAttacker();
});

after(async () => {
  attacker?.close();
  await browser?.close();
  await latchkey?.stop();
});

/** A site of somebody else's, on another port and, as 127.0.0.1, another site too. */
async function startAttacker() {
  const server = http.createServer((request, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(`<!doctype html><title>You have won</title>
      <form id="post" method="post"></form><form id="text" method="post" enctype="text/plain"></form>`);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

function attackers() {
  const { port } = attacker.address();
  return [`http://127.0.0.1:${port}`, `http://localhost:${port}`];
}

/** Sends the form from the attacker's page and tells how the gateway answered the navigation. */
async function postForm(page, form, action, fields) {
  const answer = page.waitForResponse((response) => response.url() === action && response.request().method() === "POST");
  await page.evaluate(({ form, action, fields }) => {
    const element = document.getElementById(form);
    element.action = action;
    for (const [name, value] of Object.entries(fields)) {
      const input = document.createElement("input");
      Object.assign(input, { type: "hidden", name, value });
      element.append(input);
    }
    element.submit();
  }, { form, action, fields });
  const status = (await answer).status();
  await page.waitForURL(action);
  return status;
}

test("other origins' forms are refused and change nothing", async () => {
  const { page, context, close } = await newWindow(browser);
  await register(page, { origin, email: newEmail("victim") });
  const [sku] = await skus(page);
  await addToCart(page, sku);
  const attempts = [
    ["post", "/api/cart/items", { sku, quantity: "9" }],
    // A plain-text form can be made to look like JSON.
    ["text", "/api/cart/items", { [`{"sku":"${sku}","quantity":9,"x":"`]: '"}' }],
    ["post", "/auth/logout", {}],
    ["post", "/auth/login", { email: "mallory@example.org", password: PASSWORD }],
  ];
  const evil = await context.newPage();
  for (const base of attackers()) {
    for (const [form, path, fields] of attempts) {
      await evil.goto(base);
      const status = await postForm(evil, form, origin + path, fields);
      assert.ok(status === 403 || status === 415, `${base} → ${path}: ${status}`);
    }
  }
  await page.reload();
  await page.locator(`[data-line="${sku}"]`).waitFor();
  assert.deepEqual(await cartOnPage(page), { [sku]: 1 });
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  await close();
});

test("other origins' scripts read nothing and change nothing", async () => {
  const { page, context, close } = await newWindow(browser);
  await register(page, { origin, email: newEmail("victim") });
  const [sku] = await skus(page);
  await addToCart(page, sku);
  const evil = await context.newPage();
  for (const base of attackers()) {
    await evil.goto(base);
    const results = await evil.evaluate(async ({ origin, sku }) => {
      const tries = [
        ["/api/cart", {}],
        ["/auth/session", {}],
        ["/api/cart", { method: "DELETE" }],
        ["/api/cart/items", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ sku, quantity: 9 }) }],
        ["/api/cart/items", { method: "POST", mode: "no-cors", body: JSON.stringify({ sku, quantity: 9 }) }],
        ["/auth/logout", { method: "POST", mode: "no-cors" }],
      ];
      const read = [];
      for (const [path, options] of tries) {
        try {
          const answer = await fetch(origin + path, { credentials: "include", ...options });
          read.push(answer.type === "opaque" ? "opaque" : await answer.text());
        } catch {
          read.push("refused");
        }
      }
      return read;
    }, { origin, sku });
    // Not even an opaque answer: Cross-Origin-Resource-Policy keeps those back too.
    assert.deepEqual(results, Array(6).fill("refused"));
  }
  await page.reload();
  await page.locator(`[data-line="${sku}"]`).waitFor();
  assert.deepEqual(await cartOnPage(page), { [sku]: 1 });
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  await close();
});

test("no other page can frame the pages", async () => {
  const { page, close } = await newWindow(browser);
  await page.goto(attackers()[0]);
  const framed = await page.evaluate((src) => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.onload = () => resolve(frame.contentDocument === null);
    frame.src = src;
    document.body.append(frame);
  }), `${origin}/sign-in`);
  const frame = page.frames().find((candidate) => candidate !== page.mainFrame());
  assert.ok(framed);
  assert.equal(await frame.locator("form").count(), 0, "the sign-in form is not in the frame");
  await close();
});

test("signing in leads back to our pages and to no others", async () => {
  const email = newEmail("odysseus");
  const setup = await newWindow(browser);
  await register(setup.page, { origin, email });
  await setup.close();
  const home = `${origin}/`;
  const cases = [
    ["/devices", `${origin}/devices`],
    ["/profile?x=1", `${origin}/profile?x=1`],
    ["//evil.example/", home],
    ["/\\evil.example/", home],
    ["https://evil.example/", home],
    ["javascript:alert(1)", home],
    ["/\t/evil.example/", home],
    ["/.//evil.example/", `${origin}//evil.example/`],
    ["/sign-in", home],
  ];
  for (const [back, expected] of cases) {
    const { page, hosts, close } = await newWindow(browser);
    await signIn(page, { origin, email, back });
    await page.waitForURL((url) => url.pathname !== "/sign-in");
    assert.equal(page.url(), expected, `return=${back}`);
    assert.deepEqual([...hosts], [new URL(origin).host], `return=${back}`);
    await close();
  }
});

test("nobody's data becomes markup", async () => {
  const { page, faults, close } = await newWindow(browser);
  const name = '<img src=x onerror="document.title=1"><b>';
  await register(page, { origin, email: newEmail("bobby"), name });
  await page.locator("#account-name").filter({ hasText: name }).waitFor();
  await page.goto(`${origin}/profile`);
  await page.locator("#profile:not([hidden])").waitFor();
  assert.equal(await page.getByLabel("Display name").inputValue(), name);
  assert.equal(await page.locator("img[src=x]").count(), 0);
  assert.deepEqual(faults, []);
  await close();
});

test("no answer that a browser gets contains a token", async () => {
  const { page, close } = await newWindow(browser);
  await page.goto(origin);
  const [sku] = await skus(page);
  const email = newEmail("nosy");
  const asked = [
    ["POST", "/api/cart/items", { sku, quantity: 1 }], ["POST", "/auth/register", { email, password: PASSWORD }],
    ["POST", "/auth/logout"], ["POST", "/auth/login", { email, password: PASSWORD }], ["GET", "/auth/session"],
    ["GET", "/auth/sessions"], ["GET", "/api/cart"], ["GET", "/api/profile"], ["PATCH", "/api/profile", { theme: "dark" }],
    ["POST", "/auth/password", { current_password: PASSWORD, new_password: `${PASSWORD}!` }],
    ["GET", "/api/nowhere"], ["PUT", "/api/cart"], ["PATCH", "/api/profile", { theme: "plaid" }], ["GET", "/nowhere"],
  ];
  const answers = await page.evaluate(async (all) => {
    const texts = [];
    for (const [method, path, body] of all) {
      const headers = body && { "content-type": "application/json" };
      const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
      texts.push(`${method} ${path} ${answer.status} ${JSON.stringify([...answer.headers])} ${await answer.text()}`);
    }
    return texts;
  }, asked);
  assert.equal(answers.length, asked.length);
  for (const answer of answers) assert.doesNotMatch(answer, /eyJ[\w-]{10,}|Bearer |svc_/);
  await close();
});
