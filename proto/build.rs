//! Compiles the .proto files with protox, so that no system protoc is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;
use tonic_prost_build::FileDescriptorSet;

const SERVICES: [&str; 3] = ["auth", "cart", "profile"];

/// Messages that hold a password, a session secret or a token: src/redacted.rs
/// writes their `Debug`, so that no log line can show one.
const SECRET_MESSAGES: [&str; 16] = [
    "RegisterRequest",
    "LoginRequest",
    "ChangePasswordRequest",
    "GetSessionRequest",
    "ListSessionsRequest",
    "EndSessionRequest",
    "RevokeSessionRequest",
    "RevokeOtherSessionsRequest",
    "ExchangeSessionRequest",
    "ExchangeSessionResponse",
    "IssueAnonymousTokenResponse",
    "NewSession",
    "User",
    "AccountName",
    "DisableAccountRequest",
    "EnableAccountRequest",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=google");
    println!("cargo:rerun-if-changed=latchkey");

    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let mut all = FileDescriptorSet::default();
    for service in SERVICES {
        let mut compiler = protox::Compiler::new(["."])?;
        compiler.include_imports(true).include_source_info(true);
        compiler.open_file(format!("latchkey/{service}/v1/{service}.proto"))?;

        // protox's own encoding, not prost's: prost drops the options it does not
        // know, and `google.api.http` is what the gateway lives on.
        let encoded = compiler.encode_file_descriptor_set();
        fs::write(out_dir.join(format!("{service}.bin")), &encoded)?;

        for file in FileDescriptorSet::decode(&*encoded)?.file {
            if all.file.iter().all(|known| known.name() != file.name()) {
                all.file.push(file);
            }
        }
    }

    tonic_prost_build::configure()
        .skip_debug(SECRET_MESSAGES.map(|name| format!(".latchkey.auth.v1.{name}")))
        .compile_fds(all)?;
    Ok(())
}
