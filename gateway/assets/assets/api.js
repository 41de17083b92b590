// Calls to the gateway, and what their failures mean.

const TIMEOUT_MS = 15_000;
const DEFAULT_WAIT_SECONDS = 5;
const MAX_WAIT_SECONDS = 3600;

/** A refusal or failure: a problem document (RFC 9457), or no answer at all (`status` 0). */
export class Problem extends Error {
  constructor(status, document = {}, retryAfter = null) {
    super(document.detail || document.title || `status ${status}`);
    this.status = status;
    this.reason = typeof document.reason === "string" ? document.reason : "";
    this.detail = typeof document.detail === "string" ? document.detail : "";
    this.requestId = typeof document.request_id === "string" ? document.request_id : "";
    this.errors = Array.isArray(document.errors) ? document.errors : [];
    this.retryAfter = retryAfter;
  }

  /** Nobody said no: the answer is still out, and asking again makes sense. */
  get isOutage() {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }

  /** Seconds to wait before asking again; null when waiting changes nothing. */
  get waitSeconds() {
    if (this.status !== 429) return null;
    return Math.min(this.retryAfter ?? DEFAULT_WAIT_SECONDS, MAX_WAIT_SECONDS);
  }

  /** A sentence for a person. */
  get sentence() {
    if (this.status === 0) return "Latchkey could not be reached. Check your connection and try again.";
    if (this.status === 429) return `That was too often. Please wait ${duration(this.waitSeconds)}.`;
    if (this.isOutage) {
      return "This part of Latchkey is away for a moment. Nothing is lost; please try again.";
    }
    if (this.status >= 500) {
      const id = this.requestId ? ` If you report it, mention ${this.requestId}.` : "";
      return `Something went wrong on our side.${id}`;
    }
    return this.detail || "That was not accepted.";
  }
}

function duration(seconds) {
  if (seconds < 90) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}

/** Asks the gateway; resolves to the answer's JSON (null for 204) or throws a `Problem`. */
export async function call(method, path, body) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new Problem(0);
  }
  if (response.status === 204) return null;
  const document = await response.json().catch(() => undefined);
  if (response.ok && document !== undefined) return document;
  throw new Problem(response.ok ? 0 : response.status, document ?? {}, retryAfter(response));
}

/** Only the form in seconds: the gateway sends no dates. */
function retryAfter(response) {
  const header = response.headers.get("retry-after");
  return header !== null && /^\d{1,6}$/.test(header) ? Number(header) : null;
}
