use chassis::telemetry::{TelemetryError, TelemetrySettings, init};

#[test]
fn starts_once_only() {
    init("test", &TelemetrySettings::default()).unwrap();
    let again = init("test", &TelemetrySettings::default()).unwrap_err();
    assert!(
        matches!(again, TelemetryError::AlreadyStarted(_)),
        "{again:?}"
    );
}
