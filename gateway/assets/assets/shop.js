// The shop's shelves and the cart beside them; both work without signing in.

import { call } from "./api.js";
import { announce, byId, el, whileBusy } from "./dom.js";
import { money } from "./money.js";
import { fail, loadProfile, loadSession } from "./page.js";

const MAX_QUANTITY = 99;
const TINTS = 6;

const rows = new Map(); // sku → row, so that a change keeps the focus where it is
let locale;
let localeKnown; // settles when the profile has answered, or will not
let queue = Promise.resolve();
let shown; // the cart on the page
let cartInView = true;

function showProducts(products) {
  const list = byId("products");
  byId("products-state").replaceChildren(
    ...(products.length === 0 ? [el("p", { class: "empty" }, "The shelves are empty today.")] : []),
  );
  list.replaceChildren(...products.map(productCard));
}

function productCard(product, index) {
  const button = el("button", { type: "button", class: "button button-strong", "data-add": product.sku },
    "Add", el("span", { class: "visually-hidden" }, ` ${product.name} to the cart`));
  button.addEventListener("click", () => whileBusy(button, () => add(product)));
  return el("li", { class: "card product" },
    el("span", { class: `tile tint-${index % TINTS}`, "aria-hidden": "true" }, product.name.slice(0, 1)),
    el("h3", {}, product.name),
    el("p", { class: "muted" }, product.description),
    el("div", { class: "row spread" },
      el("span", { class: "price" }, money(product.unit_price_minor, product.currency, locale)),
      button));
}

function add(product) {
  const change = () => call("POST", "/api/cart/items", { sku: product.sku, quantity: 1 });
  return changeCart(change, (cart) => {
    const line = cart.lines.find(({ sku }) => sku === product.sku);
    return `${product.name} is in the cart: ${line?.quantity ?? 1}.`;
  });
}

/** Does `work` after everything asked of the cart before, so that an older answer never hides a newer one. */
function inTurn(work) {
  queue = queue.then(work);
  return queue;
}

/** Sends a change and shows the cart that comes back. */
function changeCart(change, sentence) {
  return inTurn(async () => {
    const place = byId("cart-problem");
    try {
      const cart = await change();
      place.replaceChildren();
      showCart(cart);
      announce(sentence(cart));
    } catch (error) {
      if (shown) showCart(shown); // A quantity that was typed and refused goes back.
      fail(place, error, () => changeCart(change, sentence))?.focus();
      if (error.status === 404) loadCart(); // Another tab has removed it.
    }
  });
}

function showCart(cart) {
  shown = cart;
  const present = new Set(cart.lines.map(({ sku }) => sku));
  for (const [sku, row] of rows) {
    if (!present.has(sku)) {
      row.element.remove();
      rows.delete(sku);
    }
  }
  const list = byId("cart-lines");
  for (const line of cart.lines) {
    if (!rows.has(line.sku)) {
      rows.set(line.sku, cartRow(line));
      list.append(rows.get(line.sku).element);
    }
    rows.get(line.sku).show(line, cart.currency);
  }
  showTotals(cart);
}

function showTotals(cart) {
  const empty = cart.lines.length === 0;
  byId("cart-empty").hidden = !empty;
  byId("cart-full").hidden = empty;
  byId("cart-total").textContent = money(cart.total_minor, cart.currency, locale);
  const pieces = cart.item_count === 1 ? "1 item" : `${cart.item_count} items`;
  byId("cart-count").textContent = empty ? "" : pieces;
  byId("cart-jump").textContent = empty ? "" : `Cart: ${pieces}, ${byId("cart-total").textContent}`;
  showJump();
}

/** The way down to the cart is there while the cart is out of sight. */
function showJump() {
  byId("cart-jump").hidden = cartInView || !shown || shown.lines.length === 0;
}

function cartRow(line) {
  const quantity = el("input", {
    type: "number", inputmode: "numeric", min: "1", max: String(MAX_QUANTITY), step: "1",
    "aria-label": `Quantity of ${line.name}`,
    onchange: () => setQuantity(line, quantity),
  });
  const step = (by) => {
    quantity.value = String(Number(quantity.value) + by);
    setQuantity(line, quantity);
  };
  const fewer = stepButton("−", `One ${line.name} less`, () => step(-1));
  const more = stepButton("+", `One more ${line.name}`, () => step(1));
  const total = el("span", { class: "price" });
  const remove = el("button", { type: "button", class: "link", onclick: () => removeLine(line) },
    "Remove", el("span", { class: "visually-hidden" }, ` ${line.name}`));
  const element = el("li", { class: "cart-line", "data-line": line.sku },
    el("span", { class: "cart-name" }, line.name), total,
    el("span", { class: "stepper" }, fewer, quantity, more), remove);
  return {
    element,
    show(now, currency) {
      quantity.value = String(now.quantity);
      total.textContent = money(now.line_total_minor, currency, locale);
      fewer.setAttribute("aria-disabled", String(now.quantity <= 1));
      more.setAttribute("aria-disabled", String(now.quantity >= MAX_QUANTITY));
    },
  };
}

function stepButton(sign, label, press) {
  const button = el("button", { type: "button", class: "step", "aria-label": label }, sign);
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") press();
  });
  return button;
}

function setQuantity(line, input) {
  const quantity = Number(input.value);
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > MAX_QUANTITY) {
    announce(`The quantity is a whole number from 1 to ${MAX_QUANTITY}.`);
    showCart(shown);
    return;
  }
  const path = `/api/cart/items/${encodeURIComponent(line.sku)}`;
  changeCart(() => call("PATCH", path, { quantity }), () => `${line.name}: ${quantity}.`);
}

async function removeLine(line) {
  const path = `/api/cart/items/${encodeURIComponent(line.sku)}`;
  await changeCart(() => call("DELETE", path), () => `${line.name} is out of the cart.`);
  // The button that had the focus is gone.
  if (document.activeElement === document.body) byId("cart-title").focus();
}

async function clearCart() {
  await changeCart(() => call("DELETE", "/api/cart"), () => "The cart is empty.");
  if (shown?.lines.length === 0) byId("cart-title").focus();
}

async function loadProducts() {
  const place = byId("products-state");
  try {
    const products = await call("GET", "/api/products");
    await localeKnown;
    showProducts(products);
  } catch (error) {
    byId("products").replaceChildren();
    fail(place, error, loadProducts);
  }
}

function loadCart() {
  return inTurn(async () => {
    const place = byId("cart-problem");
    try {
      const cart = await call("GET", "/api/cart");
      await localeKnown;
      place.replaceChildren();
      showCart(cart);
    } catch (error) {
      fail(place, error, loadCart);
    }
  });
}

async function start() {
  new IntersectionObserver(([cart]) => {
    cartInView = cart.isIntersecting;
    showJump();
  }).observe(byId("cart"));
  const clear = byId("cart-clear");
  clear.addEventListener("click", () => whileBusy(clear, clearCart));
  localeKnown = loadProfile().then((profile) => {
    locale = profile.locale;
  }, () => {}); // The browser's own will do.
  // A cookie whose session is over is dropped by the session's answer; the cart asks after.
  await Promise.all([loadProducts(), loadSession().then(loadCart)]);
}

start();
