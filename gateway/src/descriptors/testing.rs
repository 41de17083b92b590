//! Descriptors for tests, compiled from source.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MessageDescriptor, MethodDescriptor};
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver},
};

/// `testdata/kinds.proto`: a field of every kind.
pub(crate) const KINDS: &str = include_str!("../../testdata/kinds.proto");
/// `testdata/library.proto`: a service with every kind of binding.
pub(crate) const LIBRARY: &str = include_str!("../../testdata/library.proto");

struct Source<'a>(&'a str);

impl FileResolver for Source<'static> {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == "test.proto" {
            return File::from_source(name, self.0);
        }
        Err(protox::Error::file_not_found(name))
    }
}

/// An encoded `FileDescriptorSet` of one file and its imports, options intact.
pub(crate) fn compile(source: &str) -> Vec<u8> {
    let mut files = ChainFileResolver::new();
    files.add(Source(source.to_owned().leak()));
    files.add(IncludeFileResolver::new(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../proto").into(),
    ));
    files.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(files);
    compiler.include_imports(true);
    compiler.open_file("test.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

/// The pool that a gateway would make of it.
pub(crate) fn pool(source: &str) -> DescriptorPool {
    super::pool(&compile(source)).unwrap()
}

/// A message of `kinds.proto`.
pub(crate) fn kinds(name: &str) -> MessageDescriptor {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| pool(KINDS));
    POOL.get_message_by_name(&format!("kinds.v1.{name}"))
        .unwrap()
}

/// A method of `library.proto`.
pub(crate) fn library_method(name: &str) -> MethodDescriptor {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| pool(LIBRARY));
    let service = POOL.get_service_by_name("library.v1.Library").unwrap();
    service
        .methods()
        .find(|method| method.name() == name)
        .unwrap()
}
