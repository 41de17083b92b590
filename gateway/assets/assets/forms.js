// Forms that say what is wrong beside the field it is about.

import { announce, el, showProblem } from "./dom.js";

/** Fields of `form` that the browser itself finds wanting, as a problem document's errors. */
export function localErrors(form) {
  return [...form.elements]
    .filter((field) => field.willValidate && !field.checkValidity())
    .map((field) => ({ field: field.name, description: field.validationMessage }));
}

/** Removes what an earlier try left. */
export function clearErrors(form) {
  for (const field of form.elements) {
    field.removeAttribute("aria-invalid");
    errorPlace(form, field.name)?.replaceChildren();
  }
  form.querySelector("[data-problem]").replaceChildren();
}

/** Shows each error beside its field and moves the focus to the first; false if none fits. */
export function showFieldErrors(form, errors) {
  const fields = errors
    .map(({ field, description }) => markField(form, lastSegment(field), String(description)))
    .filter((field) => field !== null);
  fields[0]?.focus();
  return fields.length > 0;
}

/** Shows what the gateway said about `form`, wherever it belongs. */
export function showFormProblem(form, problem, retry) {
  if (showFieldErrors(form, problem.errors)) return;
  showProblem(form.querySelector("[data-problem]"), problem, retry).focus();
}

/** Says that it worked; for people who see, beside the button. */
export function showDone(form, text) {
  form.querySelector("[data-problem]").replaceChildren(el("p", { class: "notice notice-good" }, text));
  announce(text);
}

function markField(form, name, description) {
  const field = form.elements.namedItem(name);
  const place = errorPlace(form, name);
  if (!(field instanceof HTMLElement) || place === null) return null;
  field.setAttribute("aria-invalid", "true");
  place.textContent = description;
  return field;
}

function errorPlace(form, name) {
  return name ? form.querySelector(`[data-error-for="${CSS.escape(name)}"]`) : null;
}

/** A violation may name the field by its path in the message: `profile.locale`. */
function lastSegment(field) {
  return String(field).split(".").at(-1);
}
