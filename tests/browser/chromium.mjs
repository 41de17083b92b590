// Debian's Chromium, and watching what its pages do.

import fs from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";

import { chromium } from "playwright-core";

const CANDIDATES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const SCREENSHOTS = process.env.XTASK_SCREENSHOTS
  ?? path.resolve(path.dirname(new URL(import.meta.url).pathname), "../../target/screenshots");

export function launch() {
  const executablePath = process.env.CHROMIUM ?? CANDIDATES.find((file) => fs.existsSync(file));
  if (!executablePath) throw new Error("no Chromium: install it, or name it in CHROMIUM");
  return chromium.launch({ executablePath, args: QUIET });
}

/** A window of its own, with a list of everything it should not have done. */
export async function newWindow(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
  const faults = [];
  const hosts = new Set();
  context.on("request", (request) => hosts.add(new URL(request.url()).host));
  context.on("page", (page) => {
    page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
    page.on("console", (message) => {
      // Chromium logs every 4xx and 5xx; those are answers, and tests look at them.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
        faults.push(`console: ${message.text()}`);
      }
    });
  });
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`CSP: ${event.effectiveDirective} ${event.blockedURI}`);
    });
  });
  const page = await context.newPage();
  return { context, page, faults, hosts, close: () => context.close() };
}

export async function screenshot(page, name) {
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true });
}
