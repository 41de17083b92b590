// The pages' modules that decide something, without a browser.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

/** Every browser since 2023 does; node 18 rounds to a number first. */
const NODE_FORMATS_DECIMAL_TEXT = Number(process.versions.node.split(".")[0]) >= 20;
const ORIGIN = "http://localhost:8080";

/** As a data URL, since nothing beside the pages' modules says that they are modules. */
async function load(name) {
  const text = await readFile(new URL(`../../gateway/assets/assets/${name}.js`, import.meta.url), "utf8");
  return import(`data:text/javascript,${encodeURIComponent(text)}`);
}

test("money moves the point and loses nothing", async () => {
  const { decimal, money } = await load("money");
  const cases = [
    ["1290", 2, "12.90"], ["5", 2, "0.05"], ["0", 2, "0.00"], ["-1", 2, "-0.01"], ["1290", 0, "1290"],
    ["1234", 3, "1.234"], ["9223372036854775807", 2, "92233720368547758.07"],
  ];
  for (const [minor, digits, expected] of cases) assert.equal(decimal(minor, digits), expected);
  assert.throws(() => decimal("1e3", 2), RangeError);
  assert.equal(money("1290", "EUR", "en"), "€12.90");
  assert.equal(money("1290", "JPY", "en"), "¥1,290");
  assert.match(money("123456", "EUR", "de"), /^1\.234,56\s€$/);
  if (NODE_FORMATS_DECIMAL_TEXT) assert.equal(money("9007199254740993", "EUR", "en"), "€90,071,992,547,409.93");
  assert.equal(money("1290", "EUR", "not a locale"), money("1290", "EUR", undefined));
  assert.equal(money("1290", "nope", "en"), "1290 nope (minor units)");
});

test("a return path leads to this origin or home", async () => {
  const { returnAddress } = await load("return-path");
  const home = `${ORIGIN}/`;
  const cases = [
    ["/devices", `${ORIGIN}/devices`], ["/profile?a=b#c", `${ORIGIN}/profile?a=b#c`],
    ["/.//evil.example", `${ORIGIN}//evil.example`],
    [null, home], ["", home], ["devices", home], ["//evil.example", home], ["/\\evil.example", home],
    ["\\\\evil.example", home], ["https://evil.example", home], ["javascript:alert(1)", home],
    ["/\t/evil.example", home], ["/\n/evil.example", home], [" //evil.example", home], ["http:evil.example", home],
    ["/sign-in", home], ["/sign-in?return=/x", home], ["data:text/html,x", home], ["@evil.example", home],
  ];
  for (const [value, expected] of cases) assert.equal(returnAddress(value, ORIGIN), expected, String(value));
});

test("the way to the sign-in page remembers where it began", async () => {
  const { signInAddress } = await load("return-path");
  const from = (path) => signInAddress(new URL(path, ORIGIN));
  assert.equal(from("/"), "/sign-in");
  assert.equal(from("/devices"), "/sign-in?return=%2Fdevices");
  assert.equal(from("/profile?a=b&c"), "/sign-in?return=%2Fprofile%3Fa%3Db%26c");
  assert.equal(from("/sign-in?return=/x"), "/sign-in");
});
