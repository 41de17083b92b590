//! Reading the layers into one tree.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::command_line::CommandLine;
use super::environment::{self, Variable};
use super::problems::{Origin, Problems};
use super::tree::{Node, Tree};

/// Settings are written by hand: a megabyte of them is a wrong file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// All layers of a program's settings, before anything is made of them.
#[derive(Default)]
pub struct Sources {
    pub(super) tree: Tree,
    pub(super) problems: Problems,
    /// Where a missing setting could be written, for messages.
    pub(super) file: Option<Arc<str>>,
}

impl Sources {
    /// Settings from a text, called `name` in messages. Text that is no TOML is
    /// reported by [`read`](super::read).
    #[must_use]
    pub fn from_toml(name: &str, text: &str) -> Self {
        let mut sources = Self::default();
        sources.add_toml(name, text);
        sources
    }

    /// Sets one value over the others, as `--set` does.
    #[must_use]
    pub fn with(mut self, assignment: &str) -> Self {
        self.add_assignment(assignment);
        self
    }

    fn add_toml(&mut self, name: &str, text: &str) {
        let name: Arc<str> = name.into();
        self.file = Some(Arc::clone(&name));
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            let origin = Origin::File {
                name: Arc::clone(&name),
                line,
            };
            self.problems.push("", error.message(), Some(&origin));
        }
        self.tree = level(table.into_inner(), text, &name, &mut self.problems, "");
    }

    fn add_variable(&mut self, name: &str, value: &str) {
        let origin = Origin::Environment(name.into());
        match environment::classify(name, value) {
            Variable::Foreign => {}
            Variable::Malformed => {
                let message = "not the name of a setting: upper case, `__` between levels";
                self.problems.push("", message, Some(&origin));
            }
            Variable::Setting(path) => self.set(&path, value, origin),
        }
    }

    fn add_assignment(&mut self, assignment: &str) {
        let split = assignment.split_once('=');
        let path = split.and_then(|(key, _)| path(key.trim()));
        let (Some((_, value)), Some(path)) = (split, path) else {
            // The text is not repeated: it might be a secret, typed wrongly.
            let message = "is not of the form key=value";
            self.problems.push("--set", message, None);
            return;
        };
        let origin = Origin::CommandLine(format!("--set {}", path.join(".")).into());
        self.set(&path, value, origin);
    }

    fn set(&mut self, path: &[String], typed: &str, origin: Origin) {
        let node = Node::value(parse_loosely(typed), Some(typed.to_owned()), origin);
        self.tree.set(path, node, &mut self.problems);
    }
}

/// Shows no values: secrets are among them.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

pub(super) fn load(
    program: &str,
    command_line: &CommandLine,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Sources, Problems> {
    // Sorted, so that the same mistakes are reported in the same order.
    let mut variables: Vec<_> = environment.collect();
    variables.sort();
    let mut sources = Sources::default();
    if let Some(path) = config_path(command_line, &variables) {
        let text = read_file(&path).map_err(|error| {
            let path = path.display();
            Problems::one(format!(
                "{program} cannot read its settings: {error} ({path})"
            ))
        })?;
        sources.add_toml(&path.display().to_string(), &text);
        if !sources.problems.is_empty() {
            return Err(sources.problems);
        }
    }
    for (name, value) in &variables {
        sources.add_variable(name, value);
    }
    for assignment in &command_line.set {
        sources.add_assignment(assignment);
    }
    for chosen in &command_line.overrides {
        let origin = Origin::CommandLine(chosen.flag.into());
        let path = path(&chosen.key).expect("keys in our own code are well formed");
        let node = Node::value(chosen.value.clone(), None, origin);
        sources.tree.set(&path, node, &mut sources.problems);
    }
    Ok(sources)
}

fn config_path(command_line: &CommandLine, variables: &[(String, String)]) -> Option<PathBuf> {
    command_line.config.clone().or_else(|| {
        let named = variables
            .iter()
            .find(|(name, _)| name == environment::CONFIG);
        named.map(|(_, path)| path.into())
    })
}

fn read_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let message = format!("larger than {MAX_FILE_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

fn level(
    table: DeTable<'_>,
    text: &str,
    file: &Arc<str>,
    problems: &mut Problems,
    above: &str,
) -> Tree {
    let mut tree = Tree::default();
    for (key, value) in table {
        let origin = Origin::File {
            name: Arc::clone(file),
            line: line_of(text, key.span().start),
        };
        let key = key.into_inner().into_owned();
        let name = super::tree::join(above, &key);
        if let Some(node) = node(value, text, origin, file, problems, &name) {
            tree.nodes.insert(key, node);
        }
    }
    tree
}

fn node(
    value: Spanned<DeValue<'_>>,
    text: &str,
    origin: Origin,
    file: &Arc<str>,
    problems: &mut Problems,
    name: &str,
) -> Option<Node> {
    if matches!(value.get_ref(), DeValue::Table(_)) {
        let DeValue::Table(table) = value.into_inner() else {
            unreachable!("just seen to be a table");
        };
        return Some(Node::level(
            level(table, text, file, problems, name),
            origin,
        ));
    }
    let deserializer = ValueDeserializer::from(value).into_deserializer();
    match toml::Value::deserialize(deserializer) {
        Ok(value) => Some(Node::value(value, None, origin)),
        Err(error) => {
            problems.push(name, error.message(), Some(&origin));
            None
        }
    }
}

/// A TOML value if it is one, else the text itself.
fn parse_loosely(typed: &str) -> toml::Value {
    ValueDeserializer::parse(typed)
        .and_then(toml::Value::deserialize)
        .unwrap_or_else(|_| toml::Value::String(typed.to_owned()))
}

fn path(key: &str) -> Option<Vec<String>> {
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    let named = |name: &String| !name.is_empty() && !name.contains(char::is_whitespace);
    path.iter().all(named).then_some(path)
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|&byte| byte == b'\n')
        .count()
}
