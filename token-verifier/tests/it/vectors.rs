//! Vectors that nobody here wrote: the examples of RFC 7515, RFC 7520 and RFC 8037.
//!
//! None of them is an access token, so the good ones go through the verifier's
//! signature step alone, and all of them are refused as tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use token_verifier::testing::{thumbprint, verify_signature};
use token_verifier::{JwksError, KeySet};

use crate::stage::Stage;

/// RFC 7515 A.1 to A.3: the payload.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv\
                   bS9pc19yb290Ijp0cnVlfQ";

/// RFC 7520 §4: the payload, Gandalf's warning.
const FRODO: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9\
                     vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdX\
                     IgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9\
                     mZiB0by4";

/// One example, and the word for why our signature step refuses it, if it does.
struct Example {
    name: &'static str,
    alg: &'static str,
    header: &'static str,
    payload: &'static str,
    signature: &'static str,
    outcome: &'static str,
}

const EXAMPLES: &[Example] = &[
    Example {
        name: "RFC 7515 A.1",
        alg: "HS256",
        header: "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
        payload: JOE,
        signature: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        outcome: "wrong_algorithm",
    },
    Example {
        name: "RFC 7515 A.3",
        alg: "ES256",
        header: "eyJhbGciOiJFUzI1NiJ9",
        payload: JOE,
        signature: "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTU\
                    JqPP3-Kg6NU1Q",
        outcome: "ok",
    },
    Example {
        name: "RFC 7515 A.5",
        alg: "none",
        header: "eyJhbGciOiJub25lIn0",
        payload: JOE,
        signature: "",
        outcome: "wrong_algorithm",
    },
    Example {
        name: "RFC 7520 4.1",
        alg: "RS256",
        header: "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
        payload: FRODO,
        signature: "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4\
                    mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuY\
                    v746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePP\
                    QdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZW\
                    JushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
        outcome: "wrong_algorithm",
    },
    Example {
        name: "RFC 7520 4.2",
        alg: "PS384",
        header: "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
        payload: FRODO,
        signature: "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6Vr\
                    klHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28\
                    zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJ\
                    T8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi\
                    7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
        outcome: "wrong_algorithm",
    },
    Example {
        name: "RFC 7520 4.3",
        alg: "ES512",
        header: "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
        payload: FRODO,
        signature: "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTz\
                    oNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHA\
                    BlsbEPX6sFY8OcGDqoRuBomu9xQ2",
        outcome: "wrong_algorithm",
    },
    Example {
        name: "RFC 7520 4.4",
        alg: "HS256",
        header: "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9",
        payload: FRODO,
        signature: "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0",
        outcome: "wrong_algorithm",
    },
    Example {
        name: "RFC 8037 A.4",
        alg: "EdDSA",
        header: "eyJhbGciOiJFZERTQSJ9",
        payload: "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        signature: "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7s\
                    VvpAr_MuM0KAg",
        outcome: "ok",
    },
];

/// RFC 7515 A.3.1.
fn p256() -> Value {
    json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

/// RFC 8037 A.2.
fn ed25519() -> Value {
    json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    })
}

/// RFC 7520 §3.1.
fn p521() -> Value {
    json!({
        "kty": "EC",
        "kid": "bilbo.baggins@hobbiton.example",
        "use": "sig",
        "crv": "P-521",
        "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXY\
              gCF5cj0Kt",
        "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlG\
              fP-HqHZR1",
    })
}

fn named(mut jwk: Value, kid: &str) -> Value {
    jwk["kid"] = kid.into();
    jwk
}

fn keys() -> KeySet {
    let keys = json!({ "keys": [named(p256(), "ec"), named(ed25519(), "okp"), p521()] });
    KeySet::from_json(keys.to_string().as_bytes()).unwrap()
}

fn word(result: Result<(), token_verifier::VerifyError>) -> &'static str {
    result.map_or_else(|error| error.reason(), |()| "ok")
}

#[test]
fn the_signature_step_decides_as_the_rfcs_say() {
    let keys = keys();
    for example in EXAMPLES {
        let input = format!("{}.{}", example.header, example.payload);
        let signature = URL_SAFE_NO_PAD.decode(example.signature).unwrap();
        let verify = |kid, input: &str, signature: &[u8]| {
            word(verify_signature(
                &keys,
                kid,
                example.alg,
                input.as_bytes(),
                signature,
            ))
        };
        let own = if example.alg == "EdDSA" { "okp" } else { "ec" };
        assert_eq!(
            verify(own, &input, &signature),
            example.outcome,
            "{}",
            example.name
        );
        // Under the key of another algorithm, always for that reason.
        let other = if own == "ec" { "okp" } else { "ec" };
        assert_eq!(
            verify(other, &input, &signature),
            "wrong_algorithm",
            "{}",
            example.name
        );
        if example.outcome == "ok" {
            assert_eq!(
                verify(own, &format!("{input}A"), &signature),
                "bad_signature"
            );
            for at in 0..signature.len() {
                let mut forged = signature.clone();
                forged[at] ^= 1;
                assert_eq!(
                    verify(own, &input, &forged),
                    "bad_signature",
                    "{}",
                    example.name
                );
            }
        }
    }
}

#[test]
fn rejects_every_example_as_an_access_token() {
    let stage = Stage::with_keys(token_verifier::testing::TestIssuer::new("i"), keys());
    for example in EXAMPLES {
        let token = format!(
            "{}.{}.{}",
            example.header, example.payload, example.signature
        );
        stage.rejects(&token, "wrong_type");
    }
}

/// RFC 7520 §5.6: a JWE, whose five parts include an empty one.
#[test]
fn rejects_jwe() {
    let jwe = "eyJhbGciOiJkaXIiLCJraWQiOiI3N2M3ZTJiOC02ZTEzLTQ1Y2YtODY3Mi02MTdiNWI0NTI0M2EiLCJl\
               bmMiOiJBMTI4R0NNIn0..refa467QzzKx6QAB.JW_i_f52hww_ELQPGaYyeAB6HYGcR559l9TYnSovc23\
               XJoBcW29rHP8yZOZG7YhLpT1bjFuvZPjQS.vbb32Xvllea2OtmHAdccRQ";
    Stage::new().rejects(jwe, "malformed");
}

/// RFC 7520 §4.6, flattened: the key is named in a header that nothing protects.
#[test]
fn rejects_unprotected_headers() {
    let flattened = json!({
        "payload": FRODO,
        "protected": "eyJhbGciOiJIUzI1NiJ9",
        "header": { "kid": "018c0ae5-4d9b-471b-bfd6-eef314bc7037" },
        "signature": "bWUSVaxorn7bEF1djytBd0kHv70Ly5pvbomzMWSOr20",
    });
    Stage::new().rejects(&flattened.to_string(), "malformed");
}

/// RFC 7520 §3.2, §3.5 and RFC 8037 A.1: keys that no JWKS may hold.
#[test]
fn rejects_the_rfcs_secret_keys_in_a_set() {
    let mut ec_private = p521();
    ec_private["d"] = "AAhRON2r9cqXX1hg-RoI6R1tX5p2rUAYdmpHZoC1XNM56KtscrX6zbKipQrCW9CGZH3T4ub\
                       pnoTKLDYJ_fF3_rJt"
        .into();
    let mut okp_private = named(ed25519(), "okp");
    okp_private["d"] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".into();
    let symmetric = json!({
        "kty": "oct",
        "kid": "018c0ae5-4d9b-471b-bfd6-eef314bc7037",
        "use": "sig",
        "alg": "HS256",
        "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    });
    for secret in [ec_private, okp_private, symmetric] {
        let keys = json!({ "keys": [named(p256(), "ec"), secret] });
        let error = KeySet::from_json(keys.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, JwksError::PrivateMember(_)), "{error:?}");
    }
}

/// RFC 8037 A.3.
#[test]
fn thumbprints_are_those_of_the_rfc() {
    assert_eq!(
        thumbprint(&ed25519()),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}
