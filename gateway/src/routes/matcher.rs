//! A trie over path segments.
//!
//! A look-up costs what the path is long; how many routes there are does not matter,
//! unless they share wildcards. A literal is preferred to `*`, and `*` to `**`; a
//! preferred branch that ends nowhere is left again.

use std::collections::HashMap;

use http::Method;

use super::{
    Segment,
    template::{Part, Template},
};

#[derive(Debug, Default)]
pub(super) struct Matcher {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    one: Option<Box<Node>>,
    here: Ends,
    /// What ends in `**` here.
    rest: Ends,
}

/// Routes by verb and method; few enough for a scan.
#[derive(Debug, Default)]
struct Ends(Vec<End>);

#[derive(Debug)]
struct End {
    verb: Option<String>,
    method: Method,
    route: usize,
}

impl Matcher {
    pub(super) fn insert(&mut self, method: &Method, template: &Template, route: usize) {
        let mut node = &mut self.root;
        let mut is_rest = false;
        for part in template.parts() {
            match part {
                Part::Literal(literal) => node = node.literals.entry(literal.clone()).or_default(),
                Part::One => node = node.one.get_or_insert_default(),
                Part::Rest => is_rest = true,
            }
        }
        let ends = if is_rest {
            &mut node.rest
        } else {
            &mut node.here
        };
        let verb = template.verb().map(str::to_owned);
        ends.0.push(End {
            verb,
            method: method.clone(),
            route,
        });
    }

    /// The route and whether its verb took part. Without one, `allowed` has the methods
    /// that the path does have.
    pub(super) fn find(
        &self,
        method: &Method,
        segments: &[Segment],
        allowed: &mut Vec<Method>,
    ) -> Option<(usize, bool)> {
        let verb = segments.last().and_then(|last| last.verb.as_ref());
        if let Some(verb) = verb {
            let mut search = Search {
                method,
                verb: Some(&verb.name),
                segments,
                allowed,
            };
            if let Some(route) = search.descend(&self.root, 0) {
                return Some((route, true));
            }
        }
        let mut search = Search {
            method,
            verb: None,
            segments,
            allowed,
        };
        search.descend(&self.root, 0).map(|route| (route, false))
    }
}

struct Search<'a> {
    method: &'a Method,
    verb: Option<&'a str>,
    segments: &'a [Segment],
    allowed: &'a mut Vec<Method>,
}

impl Search<'_> {
    fn descend(&mut self, node: &Node, at: usize) -> Option<usize> {
        if at == self.segments.len() {
            return self.pick(&node.here).or_else(|| self.pick(&node.rest));
        }
        let literal = node.literals.get(self.text(at));
        literal
            .and_then(|node| self.descend(node, at + 1))
            .or_else(|| {
                node.one
                    .as_ref()
                    .and_then(|node| self.descend(node, at + 1))
            })
            .or_else(|| self.pick(&node.rest))
    }

    fn text(&self, at: usize) -> &str {
        match &self.segments[at] {
            Segment {
                verb: Some(verb), ..
            } if self.verb.is_some() => &verb.rest,
            segment => &segment.decoded,
        }
    }

    fn pick(&mut self, ends: &Ends) -> Option<usize> {
        for end in ends.0.iter().filter(|end| end.verb.as_deref() == self.verb) {
            if end.method == *self.method {
                return Some(end.route);
            }
            if !self.allowed.contains(&end.method) {
                self.allowed.push(end.method.clone());
            }
        }
        None
    }
}
