// Amounts arrive as integers in minor units, written as strings: they can be larger
// than a number holds exactly, so they become decimals by moving the point.

/** Formats `minor` units of `currency` the way `locale` writes them. */
export function money(minor, currency, locale) {
  try {
    const format = new Intl.NumberFormat(locales(locale), { style: "currency", currency });
    return format.format(decimal(String(minor), format.resolvedOptions().maximumFractionDigits));
  } catch {
    return `${minor} ${currency} (minor units)`;
  }
}

/** `"1290"` with two digits is `"12.90"`. */
export function decimal(minor, digits) {
  if (!/^-?\d+$/.test(minor)) throw new RangeError("not an integer");
  const sign = minor.startsWith("-") ? "-" : "";
  const all = minor.slice(sign.length).padStart(digits + 1, "0");
  if (digits === 0) return sign + all;
  return `${sign}${all.slice(0, -digits)}.${all.slice(-digits)}`;
}

/** A date and time in `locale`. */
export function moment(iso, locale) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "unknown";
  const format = { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(locales(locale), format).format(date);
}

/** `locale` if this browser understands it, else its own. */
function locales(locale) {
  try {
    return Intl.getCanonicalLocales(locale || undefined);
  } catch {
    return undefined;
  }
}
