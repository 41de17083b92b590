// What people do on the pages, in their words.

import { randomUUID } from "node:crypto";

export const PASSWORD = "seven purple teapots";

export function newEmail(name) {
  return `${name}-${randomUUID()}@example.org`;
}

/** Puts the product into the cart and waits until the cart shows it. */
export async function addToCart(page, sku, quantity = 1) {
  for (let n = 1; n <= quantity; n += 1) {
    await page.locator(`[data-add="${sku}"]`).click();
    await page.waitForFunction(([s, q]) => document.querySelector(`[data-line="${s}"] input`)?.value === q, [sku, String(n)]);
  }
}

/** sku → quantity, as the cart on the page shows it. */
export async function cartOnPage(page) {
  await page.locator("#cart-total, #cart-empty").first().waitFor({ state: "attached" });
  return Object.fromEntries(await page.locator("[data-line]").evaluateAll((lines) =>
    lines.map((line) => [line.dataset.line, Number(line.querySelector("input").value)])));
}

export async function skus(page) {
  await page.locator("[data-add]").first().waitFor();
  return page.locator("[data-add]").evaluateAll((buttons) => buttons.map((button) => button.dataset.add));
}

export async function register(page, { origin, email, name = "" }) {
  await page.goto(`${origin}/sign-in#register`);
  await page.getByLabel("Display name").fill(name);
  await page.locator("#register-email").fill(email);
  await page.locator("#register-password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.waitForURL(`${origin}/`);
}

export async function signIn(page, { origin, email, password = PASSWORD, back = "" }) {
  await page.goto(`${origin}/sign-in${back && `?return=${encodeURIComponent(back)}`}`);
  await page.locator("#sign-in-email").fill(email);
  await page.locator("#sign-in-password").fill(password);
  await page.locator("#sign-in-form button[type=submit]").click();
}

/** The colours that a person sees behind and in the text. */
export function colours(page) {
  return page.evaluate(() => {
    const { backgroundColor, color } = getComputedStyle(document.body);
    return { backgroundColor, color };
  });
}

/** Relative luminance of an `rgb(…)` colour, 0 to 1 (WCAG 2). */
export function luminance(rgb) {
  const [r, g, b] = rgb.match(/[\d.]+/g).map(Number)
    .map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
