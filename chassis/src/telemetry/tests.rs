use std::io;
use std::sync::{Arc, Mutex};

use super::*;
use crate::settings::{self, Sources};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: Format, log: impl FnOnce()) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = Registry::default().with(layer(format, move || writer.clone()));
    tracing::subscriber::with_default(subscriber, log);
    let bytes = captured.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

const HOSTILE: [&str; 6] = [
    "eve\n2026-01-01T00:00:00Z ERROR forged",
    "eve\r\nforged",
    "eve\u{1b}[2J\u{1b}[31m",
    "eve\u{9b}31m",
    "eve\u{2028}forged",
    "eve\u{202e}degrof",
];

#[test]
fn hostile_values_stay_on_their_line() {
    for format in [Format::Human, Format::Json] {
        for value in HOSTILE {
            let text = logged(format, || {
                tracing::info!(user.agent = %value, other = ?value, plain = value, "saw {value}");
            });
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            assert!(text.ends_with('\n'), "{text:?}");
            let body = text.trim_end_matches('\n');
            let unsafe_mark = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
            assert!(!body.contains(unsafe_mark), "{text:?}");
        }
    }
}

#[test]
fn json_is_one_object_with_dotted_fields() {
    let text = logged(Format::Json, || {
        let span = tracing::info_span!("request", request.id = "abc");
        span.in_scope(|| tracing::info!(session.id = "s1", "session s1 made\n\"quoted\""));
    });
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["session.id"], "s1");
    assert_eq!(line["message"], "session s1 made\n\"quoted\"");
    assert_eq!(line["span"]["request.id"], "abc");
    assert_eq!(line["level"], "INFO");
}

#[test]
fn settings_name_the_bad_filter_and_format() {
    let sources = Sources::from_toml("t.toml", "format = 'xml'\nfilter = 'gateway=loud'");
    let problems = settings::read(sources, |section| Some(TelemetrySettings::read(section)));
    let text = problems.unwrap_err().to_string();
    assert!(text.contains("format: unknown variant `xml`"), "{text}");
    assert!(text.contains("(t.toml:1)"), "{text}");
    assert!(text.contains("filter: "), "{text}");
    assert!(text.contains("(t.toml:2)"), "{text}");
}

#[test]
fn tracing_everything_does_not_print_frames() {
    use tracing_subscriber::layer::SubscriberExt;
    let captured = Captured::default();
    let writer = captured.clone();
    let filter = parse_filter("trace").unwrap();
    let lines = layer(Format::Human, move || writer.clone());
    let subscriber = Registry::default().with(lines.with_filter(filter));
    tracing::subscriber::with_default(subscriber, || {
        tracing::trace!(target: "h2::codec", "authorization: secret");
        tracing::trace!(target: "gateway", "seen");
    });
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("seen") && !text.contains("secret"), "{text}");
}
