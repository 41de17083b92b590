use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use http::{Request, Response};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use token_verifier::ManualClock;
use tower::{Layer, ServiceExt, service_fn};

use super::*;

// The example of RFC 8037, appendices A.1 to A.3, as PKCS#8.
const RFC_8037_PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";
const RFC_8037_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const RFC_8037_KID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

#[test]
fn agrees_with_the_example_of_rfc_8037() {
    let key = WorkloadKey::from_pem(RFC_8037_PEM).unwrap();
    let jwk: Value = serde_json::from_str(&key.public_jwk()).unwrap();
    assert_eq!(jwk["x"], RFC_8037_X);
    assert_eq!(jwk["kid"], RFC_8037_KID);
    assert_eq!(key.kid(), RFC_8037_KID);
    assert!(jwk.get("d").is_none());
}

#[test]
fn another_library_reads_our_keys() {
    let key = WorkloadKey::generate().unwrap();
    let jwk: Jwk = serde_json::from_str(&key.public_jwk()).unwrap();
    assert_eq!(jwk.thumbprint(ThumbprintHash::SHA256).unwrap(), key.kid());
    let pem = generate_pem().unwrap();
    let der = pem::decode(&pem).unwrap();
    let signing = jsonwebtoken::EncodingKey::from_ed_der(&der);
    let header = jsonwebtoken::Header::new(Algorithm::EdDSA);
    jsonwebtoken::encode(&header, &serde_json::json!({}), &signing).unwrap();
}

#[test]
fn refuses_what_is_no_key() {
    let body = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
    let wrapped = |body: &str| RFC_8037_PEM.replace(&body_of(RFC_8037_PEM), body);
    for (text, expected) in [
        (String::new(), KeyError::NotPem),
        (body.to_owned(), KeyError::NotPem),
        (wrapped("!"), KeyError::NotPem),
        (format!("{RFC_8037_PEM}{RFC_8037_PEM}"), KeyError::NotPem),
        (
            RFC_8037_PEM.replace("PRIVATE KEY", "EC PRIVATE KEY"),
            KeyError::NotPem,
        ),
        (wrapped(""), KeyError::NotEd25519),
        (wrapped("AAAA"), KeyError::NotEd25519),
        (wrapped(&body[..60]), KeyError::NotEd25519),
    ] {
        assert_eq!(
            WorkloadKey::from_pem(&text).unwrap_err(),
            expected,
            "{text:?}"
        );
    }
}

#[test]
fn a_key_shows_nothing_of_itself() {
    let key = WorkloadKey::from_pem(RFC_8037_PEM).unwrap();
    let signer = signer(key);
    let shown = format!(
        "{signer:?} {:?}",
        WorkloadKey::from_pem(RFC_8037_PEM).unwrap()
    );
    assert!(
        !shown.contains("nWGx") && !shown.contains("9d61"),
        "{shown}"
    );
}

#[test]
fn a_key_file_is_made_once_and_for_its_owner() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("keys/gateway.pem");
    let first = WorkloadKey::load_or_create(&path).unwrap();
    let second = WorkloadKey::load_or_create(&path).unwrap();
    assert_eq!(first.kid(), second.kid());
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn programs_that_start_at_once_agree_on_the_key() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("key.pem");
    let kids: Vec<_> = std::thread::scope(|scope| {
        let load = || WorkloadKey::load_or_create(&path).unwrap().kid().to_owned();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
}

#[test]
fn refuses_a_key_that_others_may_read() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("key.pem");
    fs::write(&path, RFC_8037_PEM).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o660, 0o602] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for load in [WorkloadKey::load, WorkloadKey::load_or_create] {
            let error = load(&path).unwrap_err();
            assert!(
                matches!(error, KeyFileError::OpenToOthers { .. }),
                "{error:?}"
            );
            assert!(
                error.to_string().contains(&format!("{mode:04o}")),
                "{error}"
            );
        }
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    WorkloadKey::load(&path).unwrap();
}

#[test]
fn a_damaged_key_file_is_never_replaced() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("key.pem");
    fs::write(&path, "garbage").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let error = WorkloadKey::load_or_create(&path).unwrap_err();
    assert!(matches!(error, KeyFileError::Key { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "garbage");
}

#[test]
fn refuses_what_is_no_regular_file_of_a_keys_length() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("key.pem");
    let check = |path: &Path, kind| {
        let error = WorkloadKey::load_or_create(path).unwrap_err();
        let KeyFileError::File { source, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(source.kind(), kind, "{error:?}");
    };
    // Not cut at the limit: what is before it is a good key.
    let padded = format!("{RFC_8037_PEM}{}", "\n".repeat(16 << 10));
    fs::write(&path, padded).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    check(&path, std::io::ErrorKind::FileTooLarge);
    let directory = root.path().join("directory");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    check(&directory, std::io::ErrorKind::InvalidInput);
    // Opening it would wait for ever.
    let pipe = root.path().join("pipe");
    let mut mkfifo = std::process::Command::new("mkfifo");
    assert!(
        mkfifo
            .args(["-m", "600"])
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    check(&pipe, std::io::ErrorKind::InvalidInput);
}

#[test]
fn an_assertion_says_who_to_whom_and_until_when() {
    let key = WorkloadKey::from_pem(RFC_8037_PEM).unwrap();
    let jwk: Jwk = serde_json::from_str(&key.public_jwk()).unwrap();
    let signer = signer(key);
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["auth-service"]);
    validation.set_issuer(&["svc_gateway"]);
    validation.validate_exp = false;
    let assertion = signer.assertion();
    let key = DecodingKey::from_jwk(&jwk).unwrap();
    let decoded = jsonwebtoken::decode::<Value>(&assertion, &key, &validation).unwrap();
    assert_eq!(
        decoded.header.typ.as_deref(),
        Some("client-authentication+jwt")
    );
    assert_eq!(decoded.header.kid.as_deref(), Some(RFC_8037_KID));
    assert_eq!(decoded.claims["sub"], "svc_gateway");
    assert_eq!(decoded.claims["iat"], 1_800_000_000);
    assert_eq!(decoded.claims["exp"], 1_800_000_060);
    let again = signer.assertion();
    let again = jsonwebtoken::decode::<Value>(&again, &key, &validation).unwrap();
    assert_ne!(decoded.claims["jti"], again.claims["jti"]);
}

#[tokio::test]
async fn the_layer_replaces_what_a_caller_put_there() {
    let signer = signer(WorkloadKey::generate().unwrap());
    let service = AssertionLayer::new(signer).layer(service_fn(|request: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(
            request.headers().clone(),
        )))
    }));
    let request = Request::builder()
        .header("authorization", "Bearer of-somebody-else")
        .header("authorization", "Bearer of-another")
        .body(())
        .unwrap();
    let sent = service.oneshot(request).await.unwrap().into_body();
    let values: Vec<_> = sent.get_all("authorization").iter().collect();
    assert_eq!(values.len(), 1);
    assert!(values[0].is_sensitive());
    assert!(values[0].to_str().unwrap().starts_with("Bearer eyJ"));
}

fn signer(key: WorkloadKey) -> AssertionSigner {
    let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    AssertionSigner::new(
        "gateway",
        key,
        "auth-service",
        Arc::new(ManualClock::at(now)),
    )
}

fn body_of(pem: &str) -> String {
    pem.lines().nth(1).unwrap().to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
