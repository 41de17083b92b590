//! `latchkey workload-key`: what an operator needs before the auth service can
//! be told of a workload.

use std::fs;

use anyhow::Context;
use chassis::workload::WorkloadKey;

use crate::command_line;

pub(crate) fn run(arguments: &command_line::WorkloadKey) -> anyhow::Result<()> {
    let key = WorkloadKey::load_or_create(&arguments.file)?;
    let jwk = key.public_jwk();
    if let Some(path) = &arguments.public {
        fs::write(path, format!("{jwk}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{jwk}");
    Ok(())
}
