use http::HeaderValue;

use super::*;

fn found(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
    let mut headers = HeaderMap::new();
    for line in forwarded {
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static(line));
    }
    headers.insert("forwarded", HeaderValue::from_static("for=6.6.6.6"));
    headers.insert("x-real-ip", HeaderValue::from_static("6.6.6.6"));
    let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
    client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
}

#[test]
fn strangers_cannot_say_who_they_are() {
    assert_eq!(found("9.9.9.9", &["1.2.3.4"], &[]), "9.9.9.9");
    assert_eq!(found("9.9.9.9", &["1.2.3.4"], &["10.0.0.0/8"]), "9.9.9.9");
}

#[test]
fn takes_the_rightmost_that_no_trusted_proxy_owns() {
    let trusted = &["10.0.0.0/8", "::1", "2001:db8::/32"];
    for (peer, forwarded, expected) in [
        ("10.0.0.1", &["1.2.3.4"][..], "1.2.3.4"),
        ("10.0.0.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.9.9.9"], "1.2.3.4"),
        ("10.0.0.1", &["6.6.6.6", "1.2.3.4,10.9.9.9"], "1.2.3.4"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &["6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &["6.6.6.6, "], "10.0.0.1"),
        ("10.0.0.1", &["1.2.3.4:5555"], "1.2.3.4"),
        ("10.0.0.1", &["[2001:db9::7]:5555"], "2001:db9::7"),
        ("2001:db8::1", &["::ffff:1.2.3.4"], "1.2.3.4"),
        ("::ffff:10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
    ] {
        assert_eq!(
            found(peer, forwarded, trusted),
            expected,
            "{peer} {forwarded:?}"
        );
    }
}

#[test]
fn a_block_holds_its_prefix_and_nothing_else() {
    for (network, address, expected) in [
        ("10.0.0.0/8", "10.255.255.255", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("0.0.0.0/0", "1.2.3.4", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "2001:db8::1", true),
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1/32", "192.0.2.2", false),
        ("2001:db8::/32", "2001:db8:ffff::", true),
        ("2001:db8::/32", "2001:db9::", false),
    ] {
        let parsed: Network = network.parse().unwrap();
        assert_eq!(
            parsed.contains(address.parse().unwrap()),
            expected,
            "{network} {address}"
        );
    }
}

#[test]
fn refuses_what_is_no_network() {
    for text in [
        "",
        "10.0.0.0/33",
        "::/129",
        "10.0.0/8",
        "localhost",
        "10.0.0.0/-1",
        "10.0.0.0/",
    ] {
        assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
    }
}
