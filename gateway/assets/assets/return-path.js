// Where to go after signing in. The value comes from the address bar, so anybody
// can have written it: it may only lead back to this very origin.

const HOME = "/";

/** An absolute address on this origin, whatever `value` says. */
export function returnAddress(value, origin = location.origin) {
  const home = new URL(HOME, origin).href;
  // `//host` and `/\host` are other hosts to a browser; so is anything with a scheme.
  if (typeof value !== "string" || !/^\/(?![/\\])/.test(value)) return home;
  let target;
  try {
    target = new URL(value, origin);
  } catch {
    return home;
  }
  if (target.origin !== origin || target.pathname === "/sign-in") return home;
  // The whole address and not its path: the path of `/.//host` is `//host`.
  return target.href;
}

/** The sign-in page's address that leads back to here afterwards. */
export function signInAddress(from = location) {
  const back = from.pathname + from.search;
  return back === HOME || from.pathname === "/sign-in"
    ? "/sign-in"
    : `/sign-in?return=${encodeURIComponent(back)}`;
}
