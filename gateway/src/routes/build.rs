//! From descriptors to a route table, or to the list of everything that is wrong.

use std::{collections::HashMap, fmt, sync::Arc};

use http::{Method, uri::PathAndQuery};
use prost_reflect::{DescriptorPool, MethodDescriptor};

use super::{
    Route, RouteTable, rule,
    rule::{HttpRule, Pattern},
    template::Template,
};
use crate::{descriptors, transcode::Transcoding, upstream::Upstream};

/// Everything that is wrong with the annotations, one line each.
#[derive(Debug, thiserror::Error)]
pub(crate) struct RouteProblems(Vec<String>);

impl fmt::Display for RouteProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl RouteTable {
    /// Builds the table of all upstreams.
    pub(crate) fn build(
        upstreams: impl IntoIterator<Item = (Arc<Upstream>, DescriptorPool)>,
    ) -> Result<Self, RouteProblems> {
        let mut builder = Builder::default();
        for (upstream, pool) in upstreams {
            for service in pool.services().filter(descriptors::is_routed) {
                for method in service.methods() {
                    builder.add_method(&upstream, &method);
                }
            }
        }
        builder.find_conflicts();
        if builder.problems.is_empty() {
            Ok(builder.table)
        } else {
            Err(RouteProblems(builder.problems))
        }
    }
}

#[derive(Default)]
struct Builder {
    table: RouteTable,
    problems: Vec<String>,
}

impl Builder {
    fn add_method(&mut self, upstream: &Arc<Upstream>, method: &MethodDescriptor) {
        let rule = match rule::of(method) {
            Ok(Some(rule)) => rule,
            Ok(None) => return,
            Err(error) => return self.problem(upstream, method, error),
        };
        if method.is_client_streaming() {
            let why = "has an HTTP annotation but takes a stream, which JSON over HTTP cannot be";
            return self.problem(upstream, method, why);
        }
        for nested in &rule.additional_bindings {
            if !nested.additional_bindings.is_empty() {
                self.problem(upstream, method, "has an additional binding within another");
            }
        }
        for binding in std::iter::once(&rule).chain(&rule.additional_bindings) {
            match route(upstream, method, binding) {
                Ok(route) => self.add_route(route),
                Err(why) => self.problem(upstream, method, why),
            }
        }
    }

    fn add_route(&mut self, route: Route) {
        self.table
            .matcher
            .insert(&route.method, &route.template, self.table.routes.len());
        self.table.routes.push(Arc::new(route));
    }

    fn problem(&mut self, upstream: &Upstream, method: &MethodDescriptor, why: impl fmt::Display) {
        self.problems
            .push(format!("{}: {} {why}", upstream.name, method.full_name()));
    }

    /// Every pair is looked at: this is once at start, and two wildcards can meet
    /// anywhere.
    fn find_conflicts(&mut self) {
        let mut by_method: HashMap<&Method, Vec<&Route>> = HashMap::new();
        for route in &self.table.routes {
            let earlier = by_method.entry(&route.method).or_default();
            for other in &*earlier {
                if route.template.is_ambiguous_with(&other.template) {
                    self.problems.push(format!(
                        "{} `{}` of {} ({}) and `{}` of {} ({}) match the same paths",
                        route.method,
                        other.template.as_str(),
                        &other.rpc.path()[1..],
                        other.upstream.name,
                        route.template.as_str(),
                        &route.rpc.path()[1..],
                        route.upstream.name,
                    ));
                }
            }
            earlier.push(route);
        }
    }
}

fn route(
    upstream: &Arc<Upstream>,
    method: &MethodDescriptor,
    binding: &HttpRule,
) -> Result<Route, String> {
    let (http_method, text) = pattern(binding)?;
    let template =
        Template::parse(text).map_err(|error| format!("has a path `{text}` that {error}"))?;
    if http_method == Method::GET && !binding.body.is_empty() {
        return Err(format!("has a body for GET `{text}`"));
    }
    let transcoding = Transcoding::new(
        method,
        &http_method,
        &binding.body,
        &binding.response_body,
        template.field_paths(),
    )
    .map_err(|error| format!("cannot be `{http_method} {text}`: {error}"))?;
    let rpc = format!("/{}/{}", method.parent_service().full_name(), method.name());
    Ok(Route {
        method: http_method,
        template,
        upstream: Arc::clone(upstream),
        rpc: PathAndQuery::try_from(rpc).map_err(|error| format!("has a bad name: {error}"))?,
        transcoding,
        streaming: method.is_server_streaming(),
    })
}

fn pattern(binding: &HttpRule) -> Result<(Method, &str), String> {
    Ok(match &binding.pattern {
        Some(Pattern::Get(path)) => (Method::GET, path),
        Some(Pattern::Put(path)) => (Method::PUT, path),
        Some(Pattern::Post(path)) => (Method::POST, path),
        Some(Pattern::Delete(path)) => (Method::DELETE, path),
        Some(Pattern::Patch(path)) => (Method::PATCH, path),
        Some(Pattern::Custom(custom)) => (custom_method(&custom.kind)?, &custom.path),
        None => return Err("has an HTTP annotation without a path".to_owned()),
    })
}

/// HEAD is GET's; CONNECT, OPTIONS and TRACE are not for services; `*` would leave
/// open whether a request may change state.
fn custom_method(kind: &str) -> Result<Method, String> {
    let is_word = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_word || ["HEAD", "CONNECT", "OPTIONS", "TRACE"].contains(&kind) {
        return Err(format!(
            "has a custom HTTP method `{kind}` that cannot be served"
        ));
    }
    Method::from_bytes(kind.as_bytes()).map_err(|error| error.to_string())
}
