use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=greeter.proto");
    // The second folder holds google/api/annotations.proto.
    let mut compiler = protox::Compiler::new([".", "../../proto"])?;
    compiler.include_imports(true).open_file("greeter.proto")?;
    // In protox's own encoding: prost's loses the annotations, and with them the routes.
    let descriptors = compiler.encode_file_descriptor_set();
    let out_dir = env::var("OUT_DIR")?;
    fs::write(Path::new(&out_dir).join("greeter.bin"), descriptors)?;
    tonic_prost_build::compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
