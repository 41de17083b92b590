//! Values by name, each with its origin, layered over each other.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::problems::{Origin, Problems};

/// A level of the settings.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<String, Node>,
}

pub(super) struct Node {
    pub(super) content: Content,
    pub(super) origin: Origin,
    /// Whether the program asked for it.
    pub(super) used: bool,
}

pub(super) enum Content {
    Level(Tree),
    Value {
        value: toml::Value,
        /// What was typed, where quotes are not asked for: a password `12345` parses
        /// as a number and is meant as a string.
        typed: Option<String>,
    },
}

impl Node {
    pub(super) fn value(value: toml::Value, typed: Option<String>, origin: Origin) -> Self {
        let content = match value {
            toml::Value::Table(table) => Content::Level(Tree::of_table(table, &origin)),
            value => Content::Value { value, typed },
        };
        Self {
            content,
            origin,
            used: false,
        }
    }

    pub(super) fn level(tree: Tree, origin: Origin) -> Self {
        Self {
            content: Content::Level(tree),
            origin,
            used: false,
        }
    }
}

impl Tree {
    fn of_table(table: toml::Table, origin: &Origin) -> Self {
        let node = |(key, value)| (key, Node::value(value, None, origin.clone()));
        Self {
            nodes: table.into_iter().map(node).collect(),
        }
    }

    /// Puts `node` at `path`, over what is there. A level and a value of one name
    /// contradict each other; that is reported with both places.
    pub(super) fn set(&mut self, path: &[String], node: Node, problems: &mut Problems) {
        self.set_below(String::new(), path, node, problems);
    }

    fn set_below(&mut self, above: String, path: &[String], node: Node, problems: &mut Problems) {
        let (first, rest) = path.split_first().expect("a path has at least one name");
        let name = join(&above, first);
        let origin = node.origin.clone();
        match (self.nodes.entry(first.clone()), rest) {
            (Entry::Vacant(vacant), []) => drop(vacant.insert(node)),
            (Entry::Occupied(mut occupied), []) => merge(name, occupied.get_mut(), node, problems),
            (entry, rest) => {
                let inner = entry.or_insert_with(|| Node::level(Self::default(), origin.clone()));
                match &mut inner.content {
                    Content::Level(level) => level.set_below(name, rest, node, problems),
                    Content::Value { .. } => contradiction(&name, &inner.origin, &origin, problems),
                }
            }
        }
    }
}

/// Values replace values, levels are merged name by name.
fn merge(name: String, under: &mut Node, over: Node, problems: &mut Problems) {
    match (&mut under.content, over.content) {
        (Content::Value { .. }, content @ Content::Value { .. }) => {
            under.content = content;
            under.origin = over.origin;
        }
        (Content::Level(under), Content::Level(over)) => {
            for (key, node) in over.nodes {
                under.set_below(name.clone(), &[key], node, problems);
            }
        }
        _ => contradiction(&name, &under.origin, &over.origin, problems),
    }
}

fn contradiction(name: &str, under: &Origin, over: &Origin, problems: &mut Problems) {
    let message = format!("is a section in one place and a value in another, {under}");
    problems.push(name, message, Some(over));
}

pub(super) fn join(above: &str, key: &str) -> String {
    match above {
        "" => key.to_owned(),
        above => format!("{above}.{key}"),
    }
}
