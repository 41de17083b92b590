// The story of the product in a real browser: come as a guest, fill a cart, sign up,
// find the cart, change the theme, see the devices, sign out.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startLatchkey } from "../harness/processes.mjs";
import { launch, newWindow, screenshot } from "./chromium.mjs";
import { addToCart, cartOnPage, colours, luminance, newEmail, register, signIn, skus } from "./steps.mjs";

const SESSION_COOKIE = "__Host-Http-session";
let latchkey;
let browser;
let origin;

before(async () => {
  latchkey = await startLatchkey();
  origin = latchkey.printed;
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await latchkey?.stop();
});

async function sessionCookie(context) {
  return (await context.cookies()).find(({ name }) => name === SESSION_COOKIE);
}

test("a guest fills a cart, registers, finds it, changes the theme, sees devices, signs out", async () => {
  const { page, context, faults, hosts, close } = await newWindow(browser);
  const email = newEmail("ada");

  await page.goto(origin);
  const [first, second] = await skus(page);
  assert.equal(await sessionCookie(context), undefined, "looking makes no session");
  await addToCart(page, first, 2);
  await addToCart(page, second);
  const guest = await sessionCookie(context);
  assert.match(guest.value, /^[\w-]{43}$/);
  assert.deepEqual([guest.httpOnly, guest.secure, guest.sameSite, guest.path], [true, true, "Lax", "/"]);
  assert.equal(await page.evaluate(() => document.cookie), "", "no script reads the cookie");

  await register(page, { origin, email, name: "Ada Lovelace" });
  await page.locator(`[data-line="${second}"]`).waitFor();
  assert.deepEqual(await cartOnPage(page), { [first]: 2, [second]: 1 });
  assert.equal(await page.locator("#account-name").textContent(), "Ada Lovelace");
  const user = await sessionCookie(context);
  assert.notEqual(user.value, guest.value, "signing in changes the cookie");
  assert.equal(await page.evaluate(() => document.cookie), "");

  await page.getByRole("link", { name: "Profile" }).click();
  await page.getByRole("radio", { name: "Light" }).check();
  await page.getByText("Theme saved: light.").waitFor();
  const light = await colours(page);
  await screenshot(page, "story-profile-light");
  await page.getByRole("radio", { name: "Dark" }).check();
  await page.getByText("Theme saved: dark.").waitFor();
  const dark = await colours(page);
  await screenshot(page, "story-profile-dark");
  assert.ok(luminance(light.backgroundColor) > 0.8 && luminance(dark.backgroundColor) < 0.1, JSON.stringify({ light, dark }));
  assert.ok(luminance(light.color) < luminance(dark.color));

  await page.getByRole("link", { name: "Devices" }).click();
  await page.getByText("This device", { exact: true }).waitFor();
  assert.deepEqual(await colours(page), dark, "the theme is on every page");
  await screenshot(page, "story-devices-dark");

  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.waitForURL(`${origin}/`);
  await page.getByRole("link", { name: "Sign in" }).waitFor();
  await page.locator("#cart-empty").waitFor();
  assert.equal(await sessionCookie(context), undefined, "signing out clears the cookie");

  // The old cookie is dead even if somebody kept it.
  await context.addCookies([{ ...user }]);
  const state = await page.evaluate(() => fetch("/auth/session").then((answer) => answer.json()));
  assert.equal(state.authenticated, false);

  assert.deepEqual(faults, []);
  assert.deepEqual([...hosts], [new URL(origin).host], "nothing is asked of anybody else");
  await close();
});

test("a theme follows its person to another browser and restyles open tabs at once", async () => {
  const email = newEmail("grace");
  const one = await newWindow(browser, { colorScheme: "light" });
  await register(one.page, { origin, email });
  const tab = await one.context.newPage();
  await tab.goto(origin);
  const before = await colours(tab);
  await one.page.goto(`${origin}/profile`);
  await one.page.getByRole("radio", { name: "Dark" }).check();
  await one.page.getByText("Theme saved: dark.").waitFor();
  await tab.waitForFunction((was) => getComputedStyle(document.body).backgroundColor !== was, before.backgroundColor);

  const two = await newWindow(browser, { colorScheme: "light" });
  await signIn(two.page, { origin, email });
  await two.page.waitForURL(`${origin}/`);
  assert.deepEqual(await colours(two.page), await colours(tab));
  assert.deepEqual([...one.faults, ...two.faults], []);
  await one.close();
  await two.close();
});

test("one device signs out another, and all others", async () => {
  const email = newEmail("lin");
  const windows = [await newWindow(browser), await newWindow(browser), await newWindow(browser)];
  const [here, phone, library] = windows;
  await register(here.page, { origin, email });
  for (const { page } of [phone, library]) {
    await signIn(page, { origin, email, back: "/devices" });
    await page.getByText("This device", { exact: true }).waitFor();
  }
  await here.page.goto(`${origin}/devices`);
  await here.page.locator("[data-session]").nth(2).waitFor();
  const other = here.page.locator("li.device:not(:has(.badge)) [data-session]").first();
  await other.click();
  await here.page.waitForFunction(() => document.querySelectorAll("[data-session]").length === 2);
  await here.page.getByRole("button", { name: "Sign out all other devices" }).click();
  await here.page.getByText("You are signed in nowhere else.").waitFor();
  for (const { page } of [phone, library]) {
    await page.reload();
    await page.getByText("Sign in to see the devices").waitFor();
  }
  await here.page.reload();
  await here.page.getByText("This device", { exact: true }).waitFor();
  for (const window of windows) {
    assert.deepEqual(window.faults, []);
    await window.close();
  }
});

test("the cart's quantities, removal and emptying hold after a reload", async () => {
  const { page, faults, close } = await newWindow(browser);
  await page.goto(origin);
  const [first, second] = await skus(page);
  await addToCart(page, first);
  await addToCart(page, second);
  const line = page.locator(`[data-line="${first}"]`);
  await line.getByRole("spinbutton").fill("7");
  await line.getByRole("spinbutton").press("Enter");
  await line.getByRole("button", { name: /^One more/ }).click();
  await page.getByText(/: 8\.$/).waitFor();
  await page.locator(`[data-line="${second}"]`).getByRole("button", { name: /^Remove/ }).click();
  await page.locator(`[data-line="${second}"]`).waitFor({ state: "detached" });
  await page.reload();
  await line.waitFor();
  assert.deepEqual(await cartOnPage(page), { [first]: 8 });
  await page.getByRole("button", { name: "Empty the cart" }).click();
  await page.locator("#cart-empty").waitFor();
  await page.reload();
  await page.locator("#cart-empty").waitFor();
  assert.deepEqual(faults, []);
  await close();
});
