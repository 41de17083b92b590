// What every page does: who is signed in, sign out, the theme, and the other tabs.

import { Problem, call } from "./api.js";
import { announce, byId, el, showProblem, whileBusy } from "./dom.js";
import { signInAddress } from "./return-path.js";

const THEME_KEY = "theme";
const otherTabs = new BroadcastChannel("identity");

// Somebody signed in or out in another tab: what this one shows is not theirs.
otherTabs.onmessage = () => location.reload();

// A page that comes back from the back-forward cache shows what was, which after
// signing out is somebody's cart.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

/** Tells the other tabs that the person changed. */
export function identityChanged() {
  otherTabs.postMessage(null);
}

/** Restyles this page and, through local storage, every other open one. */
export function applyTheme(theme) {
  const known = theme === "light" || theme === "dark" ? theme : "system";
  document.documentElement.dataset.theme = known;
  try {
    localStorage.setItem(THEME_KEY, known);
  } catch {
    // Without storage the next page asks the profile and flashes once.
  }
}

/** What the header is made of; either may come first, or not at all. */
const here = { session: undefined, profile: undefined };

/** Asks who is here and shows it in the header; null when that cannot be known now. */
export async function loadSession() {
  try {
    here.session = await call("GET", "/auth/session");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    here.session = null;
  }
  showAccount();
  return here.session;
}

/** The profile, whose theme every page wears. */
export async function loadProfile() {
  profileIs(await call("GET", "/api/profile"));
  return here.profile;
}

/** Puts on what a profile says. */
export function profileIs(profile) {
  here.profile = profile;
  applyTheme(profile.theme);
  showAccount();
}

function showAccount() {
  if (here.session !== undefined) byId("account").replaceChildren(...accountView(here));
}

function accountView({ session, profile }) {
  if (session === null) {
    return [
      el("span", { class: "muted" }, "Sign-in is away"),
      el("button", { type: "button", class: "button button-quiet", onclick: loadSession }, "Retry"),
    ];
  }
  if (!session.authenticated) {
    return [
      el("span", { class: "muted account-name" }, "Guest"),
      el("a", { class: "button button-quiet", href: signInAddress() }, "Sign in"),
    ];
  }
  const { display_name, email } = session.user;
  const button = el("button", { type: "button", class: "button button-quiet", id: "sign-out" }, "Sign out");
  button.addEventListener("click", () => whileBusy(button, signOut));
  return [
    el("span", { class: "visually-hidden" }, "Signed in as "),
    // The profile's name is the newer one of the two.
    el("span", { class: "account-name", id: "account-name", title: email }, profile?.display_name || display_name || email),
    button,
  ];
}

async function signOut() {
  try {
    await call("POST", "/auth/logout");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // The session was over already: what was asked for holds.
    if (error.status !== 401) {
      announce(`You are still signed in. ${error.sentence}`);
      return;
    }
  }
  leave();
}

/** Forgets who was here and goes to the shop. */
export function leave() {
  applyTheme("system");
  identityChanged();
  location.assign("/");
}

/** Shows a failure in `place`; a session that is over leads to the sign-in page. */
export function fail(place, error, retry) {
  if (!(error instanceof Problem)) throw error;
  if (error.status === 401) {
    location.assign(signInAddress());
    return null;
  }
  return showProblem(place, error, retry);
}
