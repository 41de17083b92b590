//! The few paths that need no token.

const HEALTH: [&str; 3] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
];

const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenPaths {
    pub(crate) reflection: bool,
}

impl Default for OpenPaths {
    fn default() -> Self {
        Self { reflection: true }
    }
}

impl OpenPaths {
    /// A list and not a prefix: whatever a router makes of a path, one that equals an
    /// entry byte for byte can lead nowhere else.
    pub(crate) fn contains(self, path: &str) -> bool {
        HEALTH.contains(&path) || (self.reflection && REFLECTION.contains(&path))
    }
}
