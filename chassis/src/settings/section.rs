//! The door between a tree of values and a program's own configuration.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::environment;
use super::problems::{Origin, Problems};
use super::sources::Sources;
use super::tree::{Content, Node, Tree, join};
use super::units;

mod secret;
mod suggest;

/// What stands in the place of a secret when settings are printed.
const REDACTED: &str = "\"[redacted]\"";

/// One level of the settings. Asking for a key marks it as known; when the level is
/// left, what nobody asked for is reported.
pub struct Section<'a> {
    path: String,
    tree: &'a mut Tree,
    asked: Vec<String>,
    state: &'a mut State,
}

#[derive(Default)]
struct State {
    problems: Problems,
    effective: BTreeMap<String, String>,
    file: Option<Arc<str>>,
}

/// Shows no values: secrets are among them.
impl fmt::Debug for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Section")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The settings that a program runs with, defaults included and secrets redacted.
/// Displays as TOML.
#[derive(Debug)]
pub struct Effective(BTreeMap<String, String>);

impl Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(key, value)| writeln!(f, "{key} = {value}"))
    }
}

pub(super) fn read_all<C>(
    sources: Sources,
    read: impl FnOnce(&mut Section<'_>) -> Option<C>,
) -> Result<(C, Effective), Problems> {
    let mut tree = sources.tree;
    let mut state = State {
        problems: sources.problems,
        file: sources.file,
        ..State::default()
    };
    let config = Section::run(String::new(), &mut tree, &mut state, read);
    match config {
        Some(config) if state.problems.is_empty() => Ok((config, Effective(state.effective))),
        None if state.problems.is_empty() => Err(Problems::one(
            "settings were refused without a reason: this is a bug",
        )),
        _ => Err(state.problems),
    }
}

impl<'a> Section<'a> {
    fn run<R>(
        path: String,
        tree: &'a mut Tree,
        state: &'a mut State,
        read: impl FnOnce(&mut Section<'_>) -> R,
    ) -> R {
        let mut section = Section {
            path,
            tree,
            asked: Vec::new(),
            state,
        };
        let result = read(&mut section);
        section.report_unknown();
        result
    }

    /// The value of `key`, if it is set. A value of the wrong type is reported and
    /// counts as absent.
    pub fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let (value, typed) = self.take(key)?;
        self.show(key, &value, true);
        match value.clone().try_into::<T>() {
            Ok(value) => Some(value),
            Err(error) => self.second_reading(key, typed, &error),
        }
    }

    /// The value of `key`, or `default`.
    pub fn value<T: DeserializeOwned + Serialize>(&mut self, key: &str, default: T) -> T {
        if self.has(key) {
            return self.optional(key).unwrap_or(default);
        }
        self.ask(key);
        if let Ok(value) = toml::Value::try_from(&default) {
            self.show(key, &value, false);
        }
        default
    }

    /// The value of `key`; its absence is a mistake.
    pub fn required<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        if !self.has(key) {
            self.report_missing(key);
        }
        self.optional(key)
    }

    /// A duration, `500ms`, `60s`, `5m`, `2h` or `7d`.
    pub fn duration(&mut self, key: &str, default: Duration) -> Duration {
        let Some(text) = self.text_or_show(key, &units::duration_text(default)) else {
            return default;
        };
        units::duration(&text).unwrap_or_else(|| {
            self.problem(key, "not a duration like 500ms, 60s, 5m, 2h or 7d");
            default
        })
    }

    /// A number of bytes: an integer, or `64KiB`, `4MiB`, `1GiB`.
    pub fn size(&mut self, key: &str, default: usize) -> usize {
        let Some(text) = self.text_or_show(key, &default.to_string()) else {
            return default;
        };
        units::size(&text).unwrap_or_else(|| {
            self.problem(key, "not a size like 512, 64KiB or 4MiB");
            default
        })
    }

    /// A path. Relative paths are relative to the working directory.
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        let path: PathBuf = self.optional(key)?;
        if path.as_os_str().is_empty() {
            self.problem(key, "is empty");
            return None;
        }
        Some(path)
    }

    /// A secret: `key`, or a file that holds it as `key_file`, but not both.
    pub fn secret(&mut self, key: &str) -> Option<SecretString> {
        secret::read(self, key)
    }

    /// The level below this one called `key`; empty if nobody wrote it.
    pub fn section<R>(&mut self, key: &str, read: impl FnOnce(&mut Section<'_>) -> R) -> R {
        self.ask(key);
        let path = join(&self.path, key);
        let mut empty = Tree::default();
        match self.tree.nodes.get_mut(key) {
            None => Section::run(path, &mut empty, self.state, read),
            Some(node) => {
                node.used = true;
                match &mut node.content {
                    Content::Level(level) => Section::run(path, level, self.state, read),
                    Content::Value { .. } => {
                        self.problem(key, "must be a section");
                        // What it lacks is not worth reporting on top.
                        Section::run(path, &mut empty, &mut State::default(), read)
                    }
                }
            }
        }
    }

    /// Every level inside the level called `key`, by name: `[upstreams.cart]`.
    pub fn entries<R>(
        &mut self,
        key: &str,
        mut read: impl FnMut(&str, &mut Section<'_>) -> R,
    ) -> Vec<R> {
        self.section(key, |section| {
            let names: Vec<String> = section.tree.nodes.keys().cloned().collect();
            let mut results = Vec::with_capacity(names.len());
            for name in names {
                results.push(section.section(&name, |entry| read(&name, entry)));
            }
            results
        })
    }

    /// Whether `key` is set.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.tree.nodes.contains_key(key)
    }

    /// Reports a mistake in `key`, with the place where its value came from.
    pub fn problem(&mut self, key: &str, message: impl Display) {
        let origin = self.origin(key);
        self.state
            .problems
            .push(&join(&self.path, key), message, origin.as_ref());
    }

    /// The full dotted name of `key`, as messages show it.
    #[must_use]
    pub fn name(&self, key: &str) -> String {
        join(&self.path, key)
    }

    fn origin(&self, key: &str) -> Option<Origin> {
        self.tree.nodes.get(key).map(|node| node.origin.clone())
    }

    fn ask(&mut self, key: &str) {
        if !self.asked.iter().any(|asked| asked == key) {
            self.asked.push(key.to_owned());
        }
    }

    /// The value at `key` and what was typed; `None` when absent or a level.
    fn take(&mut self, key: &str) -> Option<(toml::Value, Option<String>)> {
        self.ask(key);
        let node = self.tree.nodes.get_mut(key)?;
        node.used = true;
        match &node.content {
            Content::Value { value, typed } => Some((value.clone(), typed.clone())),
            Content::Level(level) => Some((table(level), None)),
        }
    }

    /// Somebody typed `LATCHKEY_NAME=123` and means the string.
    fn second_reading<T: DeserializeOwned>(
        &mut self,
        key: &str,
        typed: Option<String>,
        error: &toml::de::Error,
    ) -> Option<T> {
        let reread = typed.and_then(|typed| toml::Value::String(typed).try_into().ok());
        if reread.is_none() {
            self.problem(key, error.message());
        }
        reread
    }

    fn text_or_show(&mut self, key: &str, default: &str) -> Option<String> {
        let Some((value, typed)) = self.take(key) else {
            let shown = toml::Value::String(default.to_owned());
            self.show(key, &shown, false);
            return None;
        };
        self.show(key, &value, true);
        Some(match value {
            toml::Value::String(text) => text,
            other => typed.unwrap_or_else(|| other.to_string()),
        })
    }

    fn show(&mut self, key: &str, value: &toml::Value, chosen: bool) {
        let origin = match self.origin(key).filter(|_| chosen) {
            Some(origin) => origin.to_string(),
            None => "default".to_owned(),
        };
        let name = join(&self.path, key);
        self.state
            .effective
            .insert(name, format!("{value}  # {origin}"));
    }

    fn show_redacted(&mut self, key: &str) {
        let name = join(&self.path, key);
        self.state.effective.insert(name, REDACTED.to_owned());
    }

    fn report_missing(&mut self, key: &str) {
        let name = join(&self.path, key);
        let variable = environment::variable(&name);
        let place = match &self.state.file {
            Some(file) => format!("{file} or {variable}"),
            None => variable,
        };
        let message = format!("required, but not set in {place}");
        self.state.problems.push(&name, message, None);
    }

    fn report_unknown(&mut self) {
        let unknown = |(_, node): &(&String, &Node)| !node.used;
        for (key, node) in self.tree.nodes.iter().filter(unknown) {
            let message = match suggest::nearest(key, &self.asked) {
                Some(known) => format!("unknown setting; did you mean `{known}`?"),
                None => "unknown setting".to_owned(),
            };
            self.state
                .problems
                .push(&join(&self.path, key), message, Some(&node.origin));
        }
    }
}

/// A level that is read as one value: a map with free keys.
fn table(level: &Tree) -> toml::Value {
    let value = |node: &Node| match &node.content {
        Content::Value { value, .. } => value.clone(),
        Content::Level(level) => table(level),
    };
    let members = level
        .nodes
        .iter()
        .map(|(key, node)| (key.clone(), value(node)));
    toml::Value::Table(members.collect())
}
