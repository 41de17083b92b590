use super::*;

#[test]
fn on_stale_is_written_as_it_is_read() {
    for on_stale in [OnStale::UntilExpiry, OnStale::Refuse] {
        let text = on_stale.to_string();
        assert_eq!(text.parse(), Ok(on_stale));
        assert_eq!(serde_json::to_value(on_stale).unwrap(), text.as_str());
    }
    for wrong in ["", "Refuse", "until-expiry", "accept"] {
        assert_eq!(wrong.parse::<OnStale>(), Err(OnStaleError));
    }
}

#[test]
fn a_heartbeat_timeout_leaves_room_for_a_late_heartbeat() {
    let options = FollowOptions::default().heartbeat_timeout(Duration::ZERO);
    assert_eq!(options.heartbeat_timeout, LEAST_HEARTBEAT_TIMEOUT);
}
