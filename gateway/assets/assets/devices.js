// Where somebody is signed in, and a way to end each of them.

import { call } from "./api.js";
import { announce, byId, el, whileBusy } from "./dom.js";
import { moment } from "./money.js";
import { fail, leave, loadProfile, loadSession } from "./page.js";
import { signInAddress } from "./return-path.js";

// In this order: Edge and Opera also say Chrome, and Chrome also says Safari.
const BROWSERS = [["Edg/", "Edge"], ["OPR/", "Opera"], ["Firefox/", "Firefox"], ["HeadlessChrome/", "Chrome"],
  ["Chrome/", "Chrome"], ["Safari/", "Safari"], ["curl/", "curl"]];
const SYSTEMS = [["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Windows", "Windows"],
  ["Mac OS X", "macOS"], ["CrOS", "ChromeOS"], ["Linux", "Linux"]];

let locale;

/** A guess for people to recognise; the header says whatever its sender likes. */
export function deviceName(userAgent) {
  const find = (list) => list.find(([mark]) => userAgent.includes(mark))?.[1];
  const browser = find(BROWSERS);
  const system = find(SYSTEMS);
  if (browser && system) return `${browser} on ${system}`;
  return browser ?? system ?? "Unknown device";
}

function show(sessions) {
  const others = sessions.filter((session) => !session.current).length;
  byId("devices").replaceChildren(...sessions.map(deviceCard));
  byId("devices-state").replaceChildren();
  byId("others").hidden = others === 0;
  byId("only-this").hidden = others > 0;
}

function deviceCard(session) {
  const name = deviceName(session.user_agent ?? "");
  const seen = moment(session.last_seen_at ?? session.created_at, locale);
  const title = el("h2", {}, name);
  if (session.current) title.append(" ", el("span", { class: "badge" }, "This device"));
  const button = el("button", { type: "button", class: "button", "data-session": session.id },
    "Sign out", el("span", { class: "visually-hidden" }, session.current ? " on this device" : ` ${name}, last used ${seen}`));
  button.addEventListener("click", () => whileBusy(button, () => end(session, name)));
  return el("li", { class: "card device" },
    el("div", {}, title, el("dl", { class: "facts" },
      ...fact("Address", session.address || "unknown"),
      ...fact("Signed in", moment(session.authenticated_at ?? session.created_at, locale)),
      ...fact("Last used", seen))),
    button);
}

function fact(term, value) {
  return [el("dt", {}, term), el("dd", {}, value)];
}

async function end(session, name) {
  try {
    await call("DELETE", `/auth/sessions/${encodeURIComponent(session.id)}`);
  } catch (error) {
    // Ended from elsewhere meanwhile: what was asked for holds.
    if (error.status !== 404) {
      fail(byId("devices-state"), error)?.focus();
      return;
    }
  }
  if (session.current) {
    leave();
    return;
  }
  await load();
  announce(`${name} is signed out.`);
  byId("title").focus();
}

async function endOthers() {
  try {
    await call("DELETE", "/auth/sessions");
  } catch (error) {
    fail(byId("devices-state"), error)?.focus();
    return;
  }
  await load();
  announce("All other devices are signed out.");
  byId("title").focus();
}

async function load() {
  try {
    show((await call("GET", "/auth/sessions")).sessions);
  } catch (error) {
    byId("devices").replaceChildren();
    fail(byId("devices-state"), error, load);
  }
}

function showSignedOut() {
  byId("devices-state").replaceChildren(
    el("div", { class: "empty" },
      el("p", {}, "Sign in to see the devices you use and to sign out of them."),
      el("a", { class: "button button-strong", href: signInAddress() }, "Sign in")),
  );
}

async function start() {
  const button = byId("end-others");
  button.addEventListener("click", () => whileBusy(button, endOthers));
  const [session, profile] = await Promise.all([loadSession(), loadProfile().catch(() => null)]);
  locale = profile?.locale;
  if (session !== null && !session.authenticated) showSignedOut();
  else await load();
}

start();
