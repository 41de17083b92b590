use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;

pub(super) const NOW: i64 = 1_800_000_000;

/// A program with a key, which signs whatever it is told to.
pub(super) struct Program {
    pair: Ed25519KeyPair,
    pub(super) name: &'static str,
}

impl Program {
    pub(super) fn new(name: &'static str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
        Self {
            pair: Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap(),
            name,
        }
    }

    pub(super) fn settings(&self, may: &[Permission]) -> WorkloadSettings {
        let public_key = PublicJwk::from_bytes(self.pair.public_key().as_ref()).unwrap();
        WorkloadSettings {
            name: self.name.to_owned(),
            public_key,
            may: may.to_vec(),
        }
    }

    pub(super) fn header(&self) -> Value {
        let settings = self.settings(&[]);
        json!({ "typ": ASSERTION_TYPE, "alg": "EdDSA", "kid": settings.public_key.kid() })
    }

    pub(super) fn claims(&self, jti: &str) -> Value {
        let subject = format!("svc_{}", self.name);
        json!({
            "iss": subject, "sub": subject, "aud": AUDIENCE,
            "iat": NOW, "exp": NOW + 60, "jti": jti,
        })
    }

    pub(super) fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    pub(super) fn assertion(&self, jti: &str) -> String {
        self.sign(&self.header().to_string(), &self.claims(jti).to_string())
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn knowing(program: &Program) -> Workloads {
    Workloads::new(&[program.settings(&[Permission::Exchange])], 100).unwrap()
}

#[test]
fn good_assertion_tells_who_calls_and_what_it_may() {
    let gateway = Program::new("gateway");
    let workload = knowing(&gateway)
        .verify(&gateway.assertion("1"), now())
        .unwrap();
    assert_eq!(workload.name(), "gateway");
    assert!(workload.may(Permission::Exchange));
    assert!(!workload.may(Permission::Accounts) && !workload.may(Permission::Sessions));
    assert_eq!(format!("{workload:?}"), r#"Workload("gateway")"#);
}

#[test]
fn second_use_is_refused_and_the_next_assertion_is_not() {
    let gateway = Program::new("gateway");
    let workloads = knowing(&gateway);
    let assertion = gateway.assertion("1");
    workloads.verify(&assertion, now()).unwrap();
    assert_eq!(
        workloads.verify(&assertion, now()).unwrap_err(),
        AssertionError::Replayed
    );
    workloads.verify(&gateway.assertion("2"), now()).unwrap();
}

#[test]
fn full_table_refuses_without_saying_unauthenticated() {
    let gateway = Program::new("gateway");
    let cart = Program::new("cart-service");
    let settings = [gateway.settings(&[]), cart.settings(&[])];
    let workloads = Workloads::new(&settings, 1).unwrap();
    workloads.verify(&gateway.assertion("1"), now()).unwrap();
    let full = workloads
        .verify(&gateway.assertion("2"), now())
        .unwrap_err();
    assert_eq!(full, AssertionError::TooMany);
    workloads
        .verify(&cart.assertion("1"), now())
        .expect("another workload's table is its own");
    let later = Timestamp::from_second(NOW + 66).unwrap();
    let mut claims = gateway.claims("3");
    claims["iat"] = json!(NOW + 66);
    claims["exp"] = json!(NOW + 126);
    let fresh = gateway.sign(&gateway.header().to_string(), &claims.to_string());
    workloads
        .verify(&fresh, later)
        .expect("what has expired is forgotten");
}

#[test]
fn refuses_a_key_that_is_not_in_the_settings() {
    let (gateway, stranger) = (Program::new("gateway"), Program::new("gateway"));
    let workloads = knowing(&gateway);
    let refused = workloads
        .verify(&stranger.assertion("1"), now())
        .unwrap_err();
    assert_eq!(refused, AssertionError::UnknownKey);
    let header = gateway.header().to_string();
    let forged = stranger.sign(&header, &stranger.claims("1").to_string());
    assert_eq!(
        workloads.verify(&forged, now()).unwrap_err(),
        AssertionError::BadSignature
    );
}

#[test]
fn refuses_one_workload_in_the_name_of_another() {
    let (gateway, cart) = (Program::new("gateway"), Program::new("cart-service"));
    let workloads = Workloads::new(&[gateway.settings(&[]), cart.settings(&[])], 100).unwrap();
    let forged = cart.sign(&cart.header().to_string(), &gateway.claims("1").to_string());
    assert_eq!(
        workloads.verify(&forged, now()).unwrap_err(),
        AssertionError::WrongIssuer
    );
}

#[track_caller]
fn check_claims(change: impl FnOnce(&mut Value), expected: Result<(), AssertionError>) {
    let gateway = Program::new("gateway");
    let mut claims = gateway.claims("1");
    change(&mut claims);
    let assertion = gateway.sign(&gateway.header().to_string(), &claims.to_string());
    let result = knowing(&gateway).verify(&assertion, now()).map(|_| ());
    assert_eq!(result, expected, "{claims}");
}

#[test]
fn accepts_a_lifetime_around_now_within_the_leeway() {
    let window = |iat: i64, exp: i64| {
        move |claims: &mut Value| {
            claims["iat"] = json!(NOW + iat);
            claims["exp"] = json!(NOW + exp);
        }
    };
    check_claims(window(0, 60), Ok(()));
    check_claims(window(5, 65), Ok(()));
    check_claims(window(6, 60), Err(AssertionError::NotYetValid));
    check_claims(window(-64, -4), Ok(()));
    check_claims(window(-65, -5), Err(AssertionError::Expired));
    check_claims(window(0, 61), Err(AssertionError::Lifetime));
    check_claims(window(0, 0), Err(AssertionError::Lifetime));
    check_claims(window(60, 0), Err(AssertionError::Lifetime));
    check_claims(
        |claims| claims["iat"] = json!(i64::MIN),
        Err(AssertionError::Lifetime),
    );
    check_claims(
        |claims| claims["exp"] = json!(i64::MAX),
        Err(AssertionError::Lifetime),
    );
    check_claims(|claims| claims["nbf"] = json!(NOW + 5), Ok(()));
    check_claims(
        |claims| claims["nbf"] = json!(NOW + 6),
        Err(AssertionError::NotYetValid),
    );
}

#[test]
fn refuses_claims_that_are_missing_or_of_another_type() {
    for name in ["iss", "sub", "aud", "iat", "exp", "jti"] {
        let remove = |claims: &mut Value| {
            claims.as_object_mut().unwrap().remove(name);
        };
        check_claims(remove, Err(AssertionError::Claims));
        for wrong in [
            Value::Null,
            json!(true),
            json!([AUDIENCE]),
            json!({}),
            json!(1.5),
        ] {
            check_claims(|claims| claims[name] = wrong, Err(AssertionError::Claims));
        }
    }
    for name in ["iat", "exp", "nbf"] {
        check_claims(
            |claims| claims[name] = json!(NOW.to_string()),
            Err(AssertionError::Claims),
        );
    }
    check_claims(
        |claims| claims["nbf"] = Value::Null,
        Err(AssertionError::Claims),
    );
    check_claims(
        |claims| claims["jti"] = json!(""),
        Err(AssertionError::Claims),
    );
    check_claims(
        |claims| claims["jti"] = json!("x".repeat(65)),
        Err(AssertionError::Claims),
    );
}

#[test]
fn refuses_other_audiences_and_names() {
    for wrong in [
        "",
        "auth-service ",
        "Auth-Service",
        "auth",
        "auth-service-2",
        "cart-service",
    ] {
        check_claims(
            |claims| claims["aud"] = json!(wrong),
            Err(AssertionError::WrongAudience),
        );
    }
    for wrong in [
        "",
        "gateway",
        "svc_gateway2",
        "svc_",
        "usr_018f2b1c-7c1e-7aaa-8bbb-0123456789ab",
    ] {
        check_claims(
            |claims| claims["iss"] = json!(wrong),
            Err(AssertionError::WrongIssuer),
        );
        check_claims(
            |claims| claims["sub"] = json!(wrong),
            Err(AssertionError::WrongIssuer),
        );
    }
}

#[test]
fn ignores_claims_it_does_not_know() {
    check_claims(|claims| claims["scope"] = json!("everything"), Ok(()));
}

#[track_caller]
fn check_header(change: impl FnOnce(&mut Value), expected: AssertionError) {
    let gateway = Program::new("gateway");
    let mut header = gateway.header();
    change(&mut header);
    let assertion = gateway.sign(&header.to_string(), &gateway.claims("1").to_string());
    let refused = knowing(&gateway).verify(&assertion, now()).unwrap_err();
    assert_eq!(refused, expected, "{header}");
}

#[test]
fn refuses_every_other_header() {
    use AssertionError::{Malformed, UnknownKey, WrongAlgorithm, WrongType};
    for typ in ["at+jwt", "JWT", "Client-Authentication+JWT", ""] {
        check_header(|header| header["typ"] = json!(typ), WrongType);
    }
    for alg in ["none", "HS256", "ES256", "eddsa", "EdDSA ", "Ed25519", ""] {
        check_header(|header| header["alg"] = json!(alg), WrongAlgorithm);
    }
    for kid in ["", "../../etc/passwd", "' or 1=1 --"] {
        check_header(|header| header["kid"] = json!(kid), UnknownKey);
    }
    for name in ["typ", "alg", "kid"] {
        check_header(
            |header| _ = header.as_object_mut().unwrap().remove(name),
            Malformed,
        );
        check_header(|header| header[name] = Value::Null, Malformed);
    }
    for name in ["crit", "jwk", "jku", "x5c", "x5u", "b64", "cty", "zip"] {
        check_header(|header| header[name] = json!([]), Malformed);
    }
}

#[test]
fn refuses_what_says_one_thing_twice() {
    let gateway = Program::new("gateway");
    let (header, claims) = (
        gateway.header().to_string(),
        gateway.claims("1").to_string(),
    );
    let refused = |header: &str, claims: &str| {
        knowing(&gateway)
            .verify(&gateway.sign(header, claims), now())
            .unwrap_err()
    };
    let twice = header.replacen('{', r#"{"alg":"EdDSA","#, 1);
    assert_eq!(refused(&twice, &claims), AssertionError::Malformed);
    let twice = claims.replacen('{', r#"{"aud":"auth-service","#, 1);
    assert_eq!(refused(&header, &twice), AssertionError::Claims);
    let array = format!(
        r#"["svc_gateway","svc_gateway","{AUDIENCE}",{NOW},{},null,"1"]"#,
        NOW + 60
    );
    assert_eq!(refused(&header, &array), AssertionError::Claims);
    let array = format!(r#"["{ASSERTION_TYPE}","EdDSA","kid"]"#);
    assert_eq!(refused(&array, &claims), AssertionError::Malformed);
    assert_eq!(
        refused(&header, &format!("{claims} x")),
        AssertionError::Claims
    );
    assert_eq!(
        refused(&format!("\u{feff}{header}"), &claims),
        AssertionError::Malformed
    );
}

#[test]
fn refuses_what_is_no_compact_jws() {
    let gateway = Program::new("gateway");
    let workloads = knowing(&gateway);
    let good = gateway.assertion("1");
    let unsigned = &good[..good.rfind('.').unwrap()];
    let refused = |text: &str| workloads.verify(text, now()).unwrap_err();
    for text in [
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        unsigned,
        &format!("{good}.x"),
        &format!(" {good}"),
    ] {
        assert_eq!(refused(text), AssertionError::Malformed, "{text}");
    }
    for text in [format!("{good}="), format!("{good} "), format!("{good}\n")] {
        assert_eq!(refused(&text), AssertionError::Malformed, "{text}");
    }
    assert_eq!(
        refused(&format!("{unsigned}.")),
        AssertionError::BadSignature
    );
    assert_eq!(
        refused(&format!("{good}{}", "A".repeat(4))),
        AssertionError::BadSignature
    );
    assert_eq!(refused(&"A".repeat(2049)), AssertionError::TooLarge);
    workloads
        .verify(&good, now())
        .expect("no refusal used it up");
}

#[test]
fn refuses_every_changed_character() {
    let gateway = Program::new("gateway");
    let workloads = knowing(&gateway);
    let good = gateway.assertion("1");
    for position in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[position] = if changed[position] == b'A' {
            b'B'
        } else {
            b'A'
        };
        let changed = String::from_utf8(changed).unwrap();
        assert!(
            workloads.verify(&changed, now()).is_err(),
            "position {position}"
        );
    }
}

#[test]
fn one_of_many_uses_at_once_passes() {
    let gateway = Program::new("gateway");
    let workloads = knowing(&gateway);
    let assertion = gateway.assertion("1");
    let passed = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| workloads.verify(&assertion, now()).is_ok()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .filter(|passed| *passed)
            .count()
    });
    assert_eq!(passed, 1);
}

#[test]
fn settings_name_each_workload_and_each_key_once() {
    let (gateway, again) = (Program::new("gateway"), Program::new("gateway"));
    let refused = |settings: &[WorkloadSettings]| Workloads::new(settings, 1).err().unwrap();
    let twice = refused(&[gateway.settings(&[]), again.settings(&[])]);
    assert_eq!(twice, WorkloadsError::Twice("gateway".to_owned()));
    let mut other = gateway.settings(&[]);
    "cart-service".clone_into(&mut other.name);
    let shared = refused(&[gateway.settings(&[]), other.clone()]);
    let expected = WorkloadsError::SharedKey("gateway".to_owned(), "cart-service".to_owned());
    assert_eq!(shared, expected);
    for name in ["", "Gate Way", "gate/way", "gate\nway"] {
        name.clone_into(&mut other.name);
        assert_eq!(
            refused(&[other.clone()]),
            WorkloadsError::Name(name.to_owned())
        );
    }
}

#[test]
fn every_method_of_the_descriptor_has_its_permission() {
    use prost::Message;
    let set = prost_types::FileDescriptorSet::decode(proto::auth::v1::FILE_DESCRIPTOR_SET).unwrap();
    let ours = set
        .file
        .iter()
        .filter(|file| file.package() == "latchkey.auth.v1");
    let mut methods: Vec<String> = ours
        .flat_map(|file| &file.service)
        .flat_map(|service| service.method.iter().map(move |method| (service, method)))
        .map(|(service, method)| format!("/latchkey.auth.v1.{}/{}", service.name(), method.name()))
        .collect();
    let mut listed: Vec<&str> = PERMISSIONS.iter().map(|(path, _)| *path).collect();
    methods.sort();
    listed.sort_unstable();
    assert_eq!(listed, methods);
    for path in [
        "",
        "/",
        "/latchkey.auth.v1.TokenService/",
        "/latchkey.auth.v1.TokenService/New",
    ] {
        assert_eq!(permission_for(path), None, "{path}");
    }
}
