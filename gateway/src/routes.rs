//! Which request is for which method of which service.
//!
//! The table is built once from the services' `google.api.http` annotations; no input
//! of a client chooses a host or a method beyond picking a line of it. Paths are
//! refused unless they are in normal form, so a path has one reading here and
//! everywhere behind.

mod build;
mod call;
mod matcher;
mod rule;
mod template;

use std::{fmt, sync::Arc};

use http::{HeaderValue, Method, uri::PathAndQuery};
use percent_encoding::percent_decode_str;

pub(crate) use build::RouteProblems;
pub(crate) use call::{CallError, RequestMessage};

pub(crate) use crate::transcode::ResponseError;

use crate::{transcode::Transcoding, upstream::Upstream};
use matcher::Matcher;
use template::Template;

/// Longer paths are not looked at; `**` would otherwise make them costly.
const MAX_SEGMENTS: usize = 64;

/// Every annotated method of every upstream.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    matcher: Matcher,
    routes: Vec<Arc<Route>>,
}

/// One line of the table: an HTTP method and a path template, and what it calls.
pub(crate) struct Route {
    method: Method,
    template: Template,
    upstream: Arc<Upstream>,
    rpc: PathAndQuery,
    transcoding: Transcoding,
    streaming: bool,
}

/// What the table says about a request.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// This route.
    Found(Found),
    /// The path is one of ours, the method is not.
    MethodNotAllowed(Allow),
    /// No route.
    NotFound,
    /// The path is not one that is looked at.
    BadPath(BadPath),
}

/// Why a path is refused before it is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPath {
    /// Dot segments, `//`, `;`, `\`, encoded slashes and their like.
    #[error("the path is not in normal form")]
    NotNormal,
    /// Percent-encoded bytes that are not text.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// More segments than any template has use for.
    #[error("the path has more than {MAX_SEGMENTS} segments")]
    TooDeep,
}

/// The methods that a path has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allow(Vec<Method>);

impl Allow {
    /// The value of `Allow`; HEAD goes wherever GET does.
    pub(crate) fn header_value(&self) -> HeaderValue {
        let mut names: Vec<&str> = self.0.iter().map(Method::as_str).collect();
        if self.0.contains(&Method::GET) {
            names.push("HEAD");
        }
        names.sort_unstable();
        names.dedup();
        HeaderValue::try_from(names.join(", ")).expect("a method is a token")
    }
}

/// A route with the values that its variables have in one path.
#[derive(Debug)]
pub(crate) struct Found {
    route: Arc<Route>,
    /// In the order in which the template names them, decoded.
    variables: Vec<String>,
}

impl Found {
    /// The template as the annotation wrote it: a label for logs and metrics.
    pub(crate) fn template(&self) -> &str {
        self.route.template.as_str()
    }

    /// Whom the request is for.
    pub(crate) fn upstream(&self) -> &Arc<Upstream> {
        &self.route.upstream
    }

    /// `/package.Service/Method`.
    pub(crate) fn rpc(&self) -> &str {
        self.route.rpc.path()
    }

    /// Whether the route has a use for a body.
    pub(crate) fn takes_body(&self) -> bool {
        self.route.transcoding.takes_body()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} -> {}",
            self.method,
            self.template.as_str(),
            self.rpc
        )
    }
}

impl RouteTable {
    /// How many routes there are.
    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    /// Finds the route of a request. `path` is what stands before the `?`, as it came.
    /// HEAD finds what GET finds.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Lookup {
        let segments = match segments(path) {
            Ok(Some(segments)) => segments,
            Ok(None) => return Lookup::NotFound,
            Err(bad) => return Lookup::BadPath(bad),
        };
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let mut allowed = Vec::new();
        match self.matcher.find(method, &segments, &mut allowed) {
            Some((index, has_verb)) => {
                let route = Arc::clone(&self.routes[index]);
                let variables = route.template.variables(&segments, has_verb);
                Lookup::Found(Found { route, variables })
            }
            None if allowed.is_empty() => Lookup::NotFound,
            None => Lookup::MethodNotAllowed(Allow(allowed)),
        }
    }
}

/// A segment of a request's path.
#[derive(Debug)]
struct Segment {
    decoded: String,
    /// Where a verb would begin: at the last colon that was written as one. Only the
    /// last segment has one.
    verb: Option<Verb>,
}

#[derive(Debug)]
struct Verb {
    /// The segment without it, decoded.
    rest: String,
    /// Without its colon.
    name: String,
}

/// The segments of a path, or nothing if no template can match it.
fn segments(path: &str) -> Result<Option<Vec<Segment>>, BadPath> {
    crate::path::check(path).map_err(|_not_normal| BadPath::NotNormal)?;
    let rest = path.strip_prefix('/').ok_or(BadPath::NotNormal)?;
    if rest.is_empty() {
        return Ok(None);
    }
    let count = rest.split('/').count();
    if count > MAX_SEGMENTS {
        return Err(BadPath::TooDeep);
    }
    let mut segments = Vec::with_capacity(count);
    for (index, raw) in rest.split('/').enumerate() {
        if raw.is_empty() {
            // A trailing slash is another path, and no template can end in one.
            return Ok(None);
        }
        let verb = if index + 1 == count { verb(raw)? } else { None };
        segments.push(Segment {
            decoded: decode(raw)?,
            verb,
        });
    }
    Ok(Some(segments))
}

fn verb(raw: &str) -> Result<Option<Verb>, BadPath> {
    match raw.rsplit_once(':') {
        Some((rest, name)) if !rest.is_empty() && !name.is_empty() => Ok(Some(Verb {
            rest: decode(rest)?,
            name: decode(name)?,
        })),
        _ => Ok(None),
    }
}

fn decode(raw: &str) -> Result<String, BadPath> {
    let decoded = percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| BadPath::NotUtf8)?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests;
