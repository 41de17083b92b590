//! One private key in PEM (RFC 7468, strictly one block).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
const LINE: usize = 64;

pub(super) fn encode(der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    // Room for everything, so that no half-written copy is left behind by growing.
    let room = BEGIN.len() + END.len() + base64.len() + base64.len() / LINE + 4;
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.push_str(BEGIN);
    text.push('\n');
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = next;
    }
    text.push_str(END);
    text.push('\n');
    text
}

pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.lines().map(str::trim_end));
    STANDARD.decode(base64.as_str()).ok().map(Zeroizing::new)
}
