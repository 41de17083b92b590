// Making elements. Data enters a page here and only as text: nothing in these
// modules parses a string as HTML.

/** An element with attributes, listeners (`onclick: fn`) and children (nodes or text). */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

/** Says something politely to screen readers, and shows it for a while to the others. */
export function announce(text) {
  const region = byId("status");
  // The same sentence twice is two events, but only a change is read out.
  region.textContent = "";
  requestAnimationFrame(() => {
    region.textContent = text;
  });
}

/** Shows a failure in `place`, with a button that tries again when that makes sense. */
export function showProblem(place, problem, retry) {
  const box = el("div", { class: "notice notice-error", role: "alert", tabindex: "-1" });
  box.append(el("p", {}, problem.sentence));
  if (retry && (problem.isOutage || problem.status === 429)) {
    const button = el("button", { type: "button", class: "button", onclick: retry }, "Try again");
    box.append(button);
    holdWhileWaiting(button, problem);
  }
  place.replaceChildren(box);
  return box;
}

/** Keeps `button` from being pressed until the wait that a 429 asked for is over. */
export function holdWhileWaiting(button, problem) {
  if (problem.waitSeconds === null) return;
  const label = button.textContent;
  const until = Date.now() + problem.waitSeconds * 1000;
  // aria-disabled, so that the focus stays where it is.
  button.setAttribute("aria-disabled", "true");
  button.dataset.held = "";
  const tick = setInterval(show, 1000);
  function show() {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    if (seconds > 0) {
      button.textContent = `${label} (${seconds} s)`;
      return;
    }
    clearInterval(tick);
    delete button.dataset.held;
    button.textContent = label;
    button.removeAttribute("aria-disabled");
  }
  show();
}

/** Runs `work` with `button` marked busy; a second press meanwhile does nothing. */
export async function whileBusy(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-busy");
    // A hold set meanwhile by a 429 stays until its time is over.
    if (!("held" in button.dataset)) button.removeAttribute("aria-disabled");
  }
}
