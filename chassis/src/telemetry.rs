//! Logs: one line an event, for people or for machines, on standard error.
//!
//! Standard output belongs to what a command prints. Values in a line are written by
//! strangers; whatever they contain, a line stays a line.

use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt};

use crate::settings::Section;

mod one_line;

const DEFAULT_FILTER: &str = "info";

/// Libraries that print headers and frames when everything is traced. They stay
/// quiet unless the filter names them: a header may be a credential.
const QUIET: &str = "h2=info,hyper=info,hyper_util=info,tower=info,rustls=info";

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For a terminal.
    #[default]
    Human,
    /// One JSON object a line, for a collector.
    Json,
}

/// The section `[telemetry]`.
#[derive(Clone, Debug)]
pub struct TelemetrySettings {
    /// How a line looks.
    pub format: Format,
    /// Which events are logged, in the syntax of `RUST_LOG`: `info,gateway=debug`.
    pub filter: String,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            format: Format::default(),
            filter: DEFAULT_FILTER.to_owned(),
        }
    }
}

impl TelemetrySettings {
    /// Reads `format` and `filter`.
    pub fn read(section: &mut Section<'_>) -> Self {
        let format = section.value("format", Format::default());
        let filter = section.value("filter", DEFAULT_FILTER.to_owned());
        if let Err(error) = parse_filter(&filter) {
            section.problem("filter", error);
        }
        Self { format, filter }
    }
}

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("telemetry.filter is malformed")]
    Filter(#[from] ParseError),
    /// Something in this process already logs.
    #[error("logging was already started in this process")]
    AlreadyStarted(#[from] TryInitError),
}

/// Starts logging for the whole process and logs that `program` starts. Once only.
///
/// # Errors
///
/// See [`TelemetryError`].
pub fn init(program: &str, settings: &TelemetrySettings) -> Result<(), TelemetryError> {
    let filter = parse_filter(&settings.filter)?;
    Registry::default()
        .with(layer(settings.format, std::io::stderr).with_filter(filter))
        .try_init()?;
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(program, version, "{program} {version} starts");
    Ok(())
}

fn parse_filter(filter: &str) -> Result<EnvFilter, ParseError> {
    // Later directives win over earlier ones of the same target.
    EnvFilter::builder().parse(format!("{QUIET},{filter}"))
}

fn layer<W>(format: Format, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // No colours: the writer below lets no escape character pass, ours included.
    let lines = fmt::layer()
        .with_ansi(false)
        .with_writer(one_line::MakeOneLine(writer));
    match format {
        Format::Human => lines.boxed(),
        Format::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    }
}

#[cfg(test)]
mod tests;
