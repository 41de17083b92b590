//! What happens to every request, outermost first: `observe` (request id, trace,
//! log, metrics, security headers, problem bodies) → `limits` (requests in flight,
//! time) → `admission` (host, path, framing, header allow-list) → route → `guard`
//! (credential, CSRF, media type; `/auth/**` and `/api/**` only).

pub(crate) mod admission;
pub(crate) mod body;
pub(crate) mod guard;
pub(crate) mod limits;
pub(crate) mod observe;
mod security_headers;
