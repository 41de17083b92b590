// How the pages look, sound and fail: themes, sizes, keyboard, errors, outages.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { startParts } from "../harness/parts.mjs";
import { ready } from "../harness/processes.mjs";
import { launch, newWindow, screenshot } from "./chromium.mjs";
import { PASSWORD, addToCart, cartOnPage, newEmail, register, signIn, skus } from "./steps.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SESSION_COOKIE = "__Host-Http-session";

let parts;
let browser;
let origin;

before(async () => {
  parts = await startParts();
  origin = `http://localhost:${parts.ports.gateway}`;
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await parts?.stop();
});

/** What axe-core finds wrong, a line each. Evaluated past the CSP, which stays on. */
async function barriers(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run());
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target}`));
}

async function look(page, name) {
  await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finish())));
  await screenshot(page, name);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${name} is ${overflow} px too wide`);
  assert.deepEqual(await barriers(page), [], name);
}

for (const colorScheme of ["light", "dark"]) {
  for (const width of [360, 1200]) {
    test(`every page is accessible and fits: ${colorScheme}, ${width} px`, async () => {
      const { page, faults, close } = await newWindow(browser, { colorScheme, viewport: { width, height: 760 } });
      const name = (what) => `${what}-${width}-${colorScheme}`;
      await page.goto(origin);
      const [first, second] = await skus(page);
      await page.locator("#cart-empty").waitFor();
      await look(page, name("shop-empty"));
      await addToCart(page, first, 2);
      await addToCart(page, second);
      await look(page, name("shop"));
      await page.goto(`${origin}/devices`);
      await page.getByText("Sign in to see the devices").waitFor();
      await look(page, name("devices-signed-out"));
      await page.goto(`${origin}/sign-in`);
      await look(page, name("sign-in"));
      await page.locator("#sign-in-form button[type=submit]").click();
      await page.locator("#sign-in-email-error:not(:empty)").waitFor();
      await look(page, name("sign-in-errors"));
      await register(page, { origin, email: newEmail("eyes"), name: "Ada Lovelace" });
      await page.locator("#account-name").waitFor();
      for (const [path, sign] of [["/profile", "#password-form"], ["/devices", "[data-session]"], ["/nowhere", "main"]]) {
        await page.goto(origin + path);
        await page.locator(sign).first().waitFor();
        await look(page, name(path.slice(1)));
      }
      assert.deepEqual(faults, []);
      await close();
    });
  }
}

test("pages have one h1, landmarks, a language and a title of their own", async () => {
  const { page, close } = await newWindow(browser);
  const titles = new Set();
  for (const path of ["/", "/sign-in", "/profile", "/devices", "/nowhere"]) {
    const response = await page.goto(origin + path);
    assert.equal(response.status(), path === "/nowhere" ? 404 : 200);
    titles.add(await page.title());
    const seen = await page.evaluate(() => ({
      lang: document.documentElement.lang,
      h1: document.querySelectorAll("h1").length,
      landmarks: ["header", "nav", "main", "footer"].filter((tag) => document.querySelector(tag)).length,
      live: document.querySelector("[role=status]") !== null,
      inline: document.querySelectorAll("script:not([src]), style, [style], [onclick]").length,
    }));
    assert.deepEqual(seen, { lang: "en", h1: 1, landmarks: 4, live: true, inline: 0 }, path);
  }
  assert.equal(titles.size, 5);
  await close();
});

test("signing in needs no mouse", async () => {
  const email = newEmail("keys");
  const setup = await newWindow(browser);
  await register(setup.page, { origin, email });
  await setup.close();

  const { page, close } = await newWindow(browser);
  await page.goto(origin);
  await page.getByRole("link", { name: "Sign in" }).waitFor();
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to content");
  await tabTo(page, "Sign in");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", "the focus can be seen");
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}/sign-in`);
  await tabTo(page, "sign-in-email");
  await page.keyboard.type(email);
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "sign-in-password");
  await page.keyboard.type("not this one, sorry");
  await page.keyboard.press("Enter");
  const alert = page.getByRole("alert");
  await alert.waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "alert", "the error has the focus");
  await tabTo(page, "sign-in-password");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${origin}/`);
  await tabTo(page, "sign-out");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "Sign in" }).waitFor();
  await close();
});

async function tabTo(page, what) {
  for (let n = 0; n < 40; n += 1) {
    const at = await page.evaluate(() => [document.activeElement.id, document.activeElement.textContent.trim()]);
    if (at.includes(what)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab never reaches ${what}`);
}

test("what was wrong is said beside its field", async () => {
  const email = newEmail("twice");
  const setup = await newWindow(browser);
  await register(setup.page, { origin, email });
  await setup.close();

  const { page, close } = await newWindow(browser);
  const fill = async (address, password) => {
    await page.goto(`${origin}/sign-in`);
    await page.goto(`${origin}/sign-in#register`);
    await page.locator("#register-email").fill(address);
    await page.locator("#register-password").fill(password);
    await page.getByRole("button", { name: "Create account" }).click();
  };
  await fill(email, PASSWORD);
  await page.locator("#register-email-error").filter({ hasText: "There is an account" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "register-email");
  assert.equal(await page.locator("#register-email").getAttribute("aria-invalid"), "true");
  await fill(newEmail("common"), "password123");
  await page.locator("#register-password-error:not(:empty)").waitFor();
  await fill(newEmail("short"), "short");
  await page.locator("#register-password-error:not(:empty)").waitFor();
  await close();
});

test("a profile's refusal is shown at the field and nothing is saved", async () => {
  const { page, close } = await newWindow(browser);
  await register(page, { origin, email: newEmail("name"), name: "Good name" });
  await page.goto(`${origin}/profile`);
  await page.locator("#profile:not([hidden])").waitFor();
  await page.getByLabel("Display name").fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("#display-name-error:not(:empty)").waitFor();
  await page.reload();
  await page.locator("#profile:not([hidden])").waitFor();
  assert.equal(await page.getByLabel("Display name").inputValue(), "Good name");
  await page.getByLabel("Language and region").selectOption("de");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").first().waitFor();
  await page.goto(origin);
  await page.locator(".price").filter({ hasText: /\d,\d\d\s€/ }).first().waitFor();
  await close();
});

test("too many wrong passwords: wait, in words, and the button waits too", async () => {
  const { page, close } = await newWindow(browser);
  const email = newEmail("guess");
  await signIn(page, { origin, email, password: "wrong password 0" });
  const submit = page.locator("#sign-in-form button[type=submit]");
  const limited = page.getByText(/^That was too often/);
  for (let n = 1; n < 40 && !(await limited.isVisible()); n += 1) {
    await page.getByRole("alert").waitFor();
    await page.locator("#sign-in-password").fill(`wrong password ${n}`);
    const answer = page.waitForResponse((response) => response.url().endsWith("/auth/login"));
    await submit.click();
    if ((await answer).status() === 429) await limited.waitFor();
  }
  assert.ok(await limited.isVisible());
  assert.equal(await submit.getAttribute("aria-disabled"), "true");
  await close();
});

test("a password change signs the other devices out and keeps this one", async () => {
  const email = newEmail("change");
  const here = await newWindow(browser);
  await register(here.page, { origin, email });
  const other = await newWindow(browser);
  await signIn(other.page, { origin, email });
  await other.page.waitForURL(`${origin}/`);
  const before = (await here.context.cookies()).find(({ name }) => name === SESSION_COOKIE).value;
  await here.page.goto(`${origin}/profile`);
  await here.page.getByLabel("Current password").fill("not the current one");
  await here.page.getByLabel("New password").fill("eight green kettles");
  await here.page.getByRole("button", { name: "Change password" }).click();
  await here.page.getByText("That is not your current password.").waitFor();
  await here.page.getByLabel("Current password").fill(PASSWORD);
  await here.page.getByRole("button", { name: "Change password" }).click();
  await here.page.getByText(/^Password changed/).first().waitFor();
  const now = (await here.context.cookies()).find(({ name }) => name === SESSION_COOKIE).value;
  assert.notEqual(now, before, "the session has a new cookie");
  await here.page.reload();
  await here.page.getByRole("button", { name: "Sign out" }).waitFor();
  await other.page.reload();
  await other.page.getByRole("link", { name: "Sign in" }).waitFor();
  await here.close();
  await other.close();
});

// Last, since it stops a part that the others need.
test("an outage is never a logout: pages say so, keep the cookie and recover", async () => {
  const { page, context, faults, close } = await newWindow(browser);
  const email = newEmail("outage");
  await register(page, { origin, email, name: "Still here" });
  const [sku] = await skus(page);
  await addToCart(page, sku, 2);
  const cookie = async () => (await context.cookies()).find(({ name }) => name === SESSION_COOKIE)?.value;
  const before = await cookie();

  await parts.programs["auth-service"].stop();
  await page.goto(`${origin}/devices`);
  const outage = page.getByText("This part of Latchkey is away for a moment.").first();
  await outage.waitFor();
  await screenshot(page, "devices-outage");
  assert.equal(await page.url(), `${origin}/devices`, "nobody is sent to sign in");
  const session = await page.evaluate(() => fetch("/auth/session").then((answer) => [answer.status, answer.headers.get("retry-after")]));
  assert.equal(session[0], 503);
  assert.match(session[1], /^\d+$/);
  assert.equal(await cookie(), before);

  const auth = parts.start("auth-service");
  await ready(auth, `127.0.0.1:${parts.ports.authOperations}`);
  await page.waitForFunction(() => fetch("/auth/session").then((answer) => answer.ok), undefined, { polling: 200 });
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("This device", { exact: true }).waitFor();
  await page.goto(origin);
  await page.locator(`[data-line="${sku}"]`).waitFor();
  assert.deepEqual(await cartOnPage(page), { [sku]: 2 });
  assert.equal(await page.locator("#account-name").textContent(), "Still here");

  await parts.programs["cart-service"].stop();
  await page.reload();
  await outage.waitFor();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  await screenshot(page, "shop-outage");
  assert.equal(await cookie(), before);
  assert.deepEqual(faults, []);
  await close();
});
