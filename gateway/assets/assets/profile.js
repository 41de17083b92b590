// How somebody wants to be met: works for guests too, whose choices move along when
// they sign in.

import { Problem, call } from "./api.js";
import { announce, byId, el, holdWhileWaiting, whileBusy } from "./dom.js";
import { clearErrors, localErrors, showDone, showFieldErrors, showFormProblem } from "./forms.js";
import { moment, money } from "./money.js";
import { applyTheme, fail, identityChanged, loadProfile, loadSession, profileIs } from "./page.js";

const LOCALES = [
  "ar", "cs", "da", "de", "de-AT", "de-CH", "el", "en", "en-GB", "en-US", "es", "es-MX", "fi",
  "fr", "fr-CA", "he", "hi", "hu", "it", "ja", "ko", "nb", "nl", "pl", "pt", "pt-BR", "ro", "sv",
  "th", "tr", "uk", "vi", "zh-Hans", "zh-Hant",
];
const CURRENCIES = [
  "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HUF", "ILS", "INR", "JPY", "KRW",
  "MXN", "NOK", "NZD", "PLN", "RON", "SEK", "SGD", "THB", "TRY", "UAH", "USD", "ZAR",
];
const SAMPLE_MINOR = "123456";

const form = byId("profile-form");
let saved;

/** The list, with the saved value in it even if the list lacks it. */
function fillSelect(select, values, type, value) {
  const names = new Intl.DisplayNames(["en"], { type });
  const all = values.includes(value) || !value ? values : [value, ...values];
  select.replaceChildren(...all.map((code) => el("option", { value: code }, `${code} — ${nameOf(names, code)}`)));
  select.value = value;
}

function nameOf(names, code) {
  try {
    return names.of(code) ?? code;
  } catch {
    return code;
  }
}

function show(profile) {
  saved = profile;
  form.elements.display_name.value = profile.display_name;
  fillSelect(form.elements.locale, LOCALES, "language", profile.locale);
  fillSelect(form.elements.currency, CURRENCIES, "currency", profile.currency);
  markTheme(profile.theme);
  showSample();
  byId("profile").hidden = false;
  byId("profile-state").replaceChildren();
}

function markTheme(theme) {
  for (const radio of byId("theme-form").elements.theme) radio.checked = radio.value === theme;
}

/** What the choice does, before it is saved. */
function showSample() {
  const { locale, currency } = form.elements;
  const price = money(SAMPLE_MINOR, currency.value, locale.value);
  byId("sample").textContent = `${price} · ${moment(new Date().toISOString(), locale.value)}`;
}

/** A theme is put on at once and saved behind it; a refusal takes it off again. */
async function chooseTheme(event) {
  const themeForm = byId("theme-form");
  clearErrors(themeForm);
  applyTheme(event.target.value);
  try {
    const profile = await call("PATCH", "/api/profile", { theme: event.target.value });
    saved = profile;
    profileIs(profile);
    announce(`Theme saved: ${profile.theme}.`);
  } catch (error) {
    applyTheme(saved.theme);
    markTheme(saved.theme);
    fail(themeForm.querySelector("[data-problem]"), error)?.focus();
  }
}

/** The fields that differ from what is saved, and no others. */
function changes() {
  return Object.fromEntries(["display_name", "locale", "currency"]
    .map((name) => [name, form.elements[name].value.trim()])
    .filter(([name, value]) => value !== saved[name]));
}

async function save() {
  clearErrors(form);
  if (showFieldErrors(form, localErrors(form))) return;
  const changed = changes();
  if (Object.keys(changed).length === 0) {
    showDone(form, "Nothing has changed.");
    return;
  }
  await send(form, async () => {
    const profile = await call("PATCH", "/api/profile", changed);
    profileIs(profile);
    show(profile);
    showDone(form, "Saved.");
  });
}

async function changePassword(passwordForm) {
  clearErrors(passwordForm);
  if (showFieldErrors(passwordForm, localErrors(passwordForm))) return;
  await send(passwordForm, async () => {
    await call("POST", "/auth/password", {
      current_password: passwordForm.elements.current_password.value,
      new_password: passwordForm.elements.new_password.value,
    });
    passwordForm.reset();
    showDone(passwordForm, "Password changed. Every other device is signed out.");
    identityChanged();
  });
}

async function send(target, work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.reason === "PASSWORD_WRONG") {
      const description = "That is not your current password.";
      showFieldErrors(target, [{ field: "current_password", description }]);
    } else if (error.status === 401) {
      fail(target, error);
    } else {
      showFormProblem(target, error);
    }
    holdWhileWaiting(target.querySelector("button[type=submit]"), error);
  }
}

function submitting(target, work) {
  target.addEventListener("submit", (event) => {
    event.preventDefault();
    whileBusy(target.querySelector("button[type=submit]"), () => work(target));
  });
}

async function load() {
  try {
    show(await loadProfile());
  } catch (error) {
    byId("profile").hidden = true;
    fail(byId("profile-state"), error, load);
  }
}

async function start() {
  submitting(form, save);
  submitting(byId("password-form"), changePassword);
  byId("theme-form").addEventListener("change", chooseTheme);
  form.elements.locale.addEventListener("change", showSample);
  form.elements.currency.addEventListener("change", showSample);
  const [session] = await Promise.all([loadSession(), load()]);
  byId("guest-note").hidden = session === null || session.authenticated;
  byId("password-section").hidden = !session?.authenticated;
  if (session?.user) byId("password-username").value = session.user.email;
}

start();
