//! What callers of this crate see: every way to be wrong, each refused for its reason.
//!
//! Where the rows of the security requirements are shown, beside the unit tests in `src`:
//!
//! | row | module |
//! |---|---|
//! | TJ-01 one algorithm per key, case-sensitive | [`algorithms`] |
//! | TJ-02 the algorithm is the key's | [`algorithms`] |
//! | TJ-03 `jku`, `x5u`, `jwk`, `x5c` refused, nothing fetched | [`headers`] |
//! | TJ-04 any `crit` refused | [`headers`] |
//! | TJ-05 explicit `typ` | [`headers`] |
//! | TJ-06 `exp`, `nbf`, `iat` | [`times`], [`claims`] |
//! | TJ-07 issuer bound to its keys | [`claims`] |
//! | TJ-08 exactly this audience | [`claims`] |
//! | TJ-09 sizes and depth | [`shape`] |
//! | TJ-10 strict base64url | [`shape`] |
//! | TJ-11 three parts, no JSON serialisation, JWE or nesting | [`shape`], [`vectors`] |
//! | TJ-12 duplicate members | [`headers`], [`claims`] |
//! | TJ-13 typed claims, UTF-8, no BOM | [`claims`] |
//! | TJ-14 signatures | [`algorithms`], [`vectors`], [`wycheproofs`], [`properties`] |
//! | TJ-15 caches | `src/verifier/tests.rs` |
//! | TJ-16 `kid` | [`headers`] |
//! | TJ-17 the key is the one named | [`headers`], `src/key_set/tests.rs` |
//! | TJ-18 what a token carries | [`claims`] |
//! | TJ-19 nothing of the token in an answer | [`layer`] |
//! | TJ-21, TJ-22, TJ-24 fetching keys | `src/remote/tests.rs`, [`remote`], [`bad_days`] |
//! | TJ-23 the JWKS document | `src/key_set/tests.rs`, `src/remote/http_fetch/tests.rs`, [`bad_days`] |
//! | GW-17 open streams end | `src/guarded_body/tests.rs`, [`streams`] |
//! | TJ-29, GR-01, GR-02 the header | `src/bearer/tests.rs`, [`layer`] |

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, too"
)]

mod algorithms;
mod bad_days;
mod claims;
mod example;
mod headers;
mod layer;
mod properties;
mod remote;
mod shape;
mod stage;
mod streams;
mod times;
mod vectors;
mod wycheproofs;
