// Signing in and making an account.

import { Problem, call } from "./api.js";
import { byId, el, holdWhileWaiting, showProblem, whileBusy } from "./dom.js";
import { clearErrors, localErrors, showFieldErrors, showFormProblem } from "./forms.js";
import { identityChanged, loadProfile, loadSession } from "./page.js";
import { returnAddress } from "./return-path.js";

const REGISTER_HASH = "#register";
const forms = { signIn: byId("sign-in-form"), register: byId("register-form") };
const target = returnAddress(new URLSearchParams(location.search).get("return"));

function showMode() {
  const register = location.hash === REGISTER_HASH;
  forms.signIn.hidden = register;
  forms.register.hidden = !register;
  byId("mode-sign-in").setAttribute("aria-current", String(!register));
  byId("mode-register").setAttribute("aria-current", String(register));
  byId("title").textContent = register ? "Create an account" : "Sign in";
  document.title = `${byId("title").textContent} · Latchkey`;
}

function submitting(form, send, refused) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button[type=submit]");
    whileBusy(button, async () => {
      clearErrors(form);
      if (showFieldErrors(form, localErrors(form))) return;
      try {
        await send(form);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (!refused(error)) showFormProblem(form, error);
        holdWhileWaiting(button, error);
      }
    });
  });
}

async function signIn(form) {
  await call("POST", "/auth/login", {
    email: form.elements.email.value.trim(),
    password: form.elements.password.value,
  });
  await arrive();
}

/** One sentence for every reason, as the auth service gives one answer for every reason. */
function signInRefused(problem) {
  if (problem.reason === "ALREADY_SIGNED_IN") return alreadySignedIn();
  if (problem.status !== 401) return false;
  const form = forms.signIn;
  const text = "E-mail address and password do not match an account.";
  const box = el("div", { class: "notice notice-error", role: "alert", tabindex: "-1" }, text);
  form.querySelector("[data-problem]").replaceChildren(box);
  form.elements.password.value = "";
  box.focus();
  return true;
}

async function register(form) {
  const displayName = form.elements.display_name.value.trim();
  await call("POST", "/auth/register", {
    email: form.elements.email.value.trim(),
    password: form.elements.password.value,
    ...(displayName && { display_name: displayName }),
  });
  if (displayName && !(await saveName(displayName))) return;
  await arrive();
}

/** The account stands whatever becomes of the name, so a failure here is a remark. */
async function saveName(displayName) {
  try {
    await call("PATCH", "/api/profile", { display_name: displayName });
    return true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    identityChanged();
    forms.register.hidden = true;
    byId("modes").hidden = true;
    byId("already").replaceChildren(
      el("p", {}, "Your account is ready and you are signed in. Your display name could not be saved yet; you can set it in your profile."),
      el("p", { class: "row" },
        el("a", { class: "button button-strong", href: target }, "Continue"),
        el("a", { class: "button", href: "/profile" }, "Profile")),
    );
    byId("already").hidden = false;
    byId("already").focus();
    return false;
  }
}

function registerRefused(problem) {
  if (problem.reason === "ALREADY_SIGNED_IN") return alreadySignedIn();
  if (problem.reason !== "EMAIL_TAKEN") return false;
  const description = "There is an account with this address already. Sign in instead, or use another.";
  return showFieldErrors(forms.register, [{ field: "email", description }]);
}

/** The other tabs learn of it, the theme is put on, and the way leads back. */
async function arrive() {
  identityChanged();
  // The next page asks again; this only avoids a flash.
  await loadProfile().catch(() => {});
  location.assign(target);
}

/** Shown instead of the forms: signing in as somebody else starts with signing out. */
function alreadySignedIn() {
  loadSession().then(showSignedIn);
  return true;
}

function showSignedIn(session) {
  if (!session?.authenticated) return;
  for (const element of [forms.signIn, forms.register, byId("modes")]) element.hidden = true;
  const place = byId("already");
  place.replaceChildren(
    el("p", {}, "You are signed in as ", el("strong", {}, session.user.email),
      ". To use another account, sign out first."),
    el("p", {}, el("a", { class: "button button-strong", href: target }, "Continue")),
  );
  place.hidden = false;
  place.focus();
}

function showPasswords(event) {
  for (const field of document.querySelectorAll("[data-password]")) {
    field.type = event.target.checked ? "text" : "password";
  }
  for (const box of document.querySelectorAll("[data-reveal]")) box.checked = event.target.checked;
}

async function start() {
  addEventListener("hashchange", () => {
    showMode();
    const form = forms.register.hidden ? forms.signIn : forms.register;
    form.elements.email.focus();
  });
  for (const box of document.querySelectorAll("[data-reveal]")) {
    box.addEventListener("change", showPasswords);
  }
  submitting(forms.signIn, signIn, signInRefused);
  submitting(forms.register, register, registerRefused);
  showMode();
  loadProfile().catch(() => {});
  const session = await loadSession();
  if (session === null) {
    const away = new Problem(503);
    showProblem(byId("service-state"), away, () => location.reload());
  }
  showSignedIn(session);
}

start();
