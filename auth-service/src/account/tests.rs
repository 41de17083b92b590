use super::*;

#[track_caller]
fn check(received: &str, expected: Result<&str, DisplayNameError>) {
    let parsed = DisplayName::parse(received);
    assert_eq!(
        parsed.as_ref().map(DisplayName::as_str),
        expected.as_ref().copied()
    );
}

#[test]
fn display_names() {
    check("", Ok(""));
    check("  Ann Oakley ", Ok("Ann Oakley"));
    check(&"é".repeat(80), Ok(&"é".repeat(80)));
    check(&"é".repeat(81), Err(DisplayNameError::TooLong));
    check("Ann\u{1b}[31m", Err(DisplayNameError::Control));
    check("Ann\nadmin signed in", Err(DisplayNameError::Control));
    check("Ann\0", Err(DisplayNameError::Control));
    check("Ann\u{2028}x", Err(DisplayNameError::Control));
}
