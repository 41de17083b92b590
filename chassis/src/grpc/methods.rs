//! Which methods there are: the bounded set that metrics may name. A client that
//! invents method names must not invent time series.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorSet;

const UNKNOWN: Method = Method {
    service: "unknown",
    method: "unknown",
};

const HEALTH: &str = "grpc.health.v1.Health";
const REFLECTION: [&str; 2] = [
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// A method as metrics and logs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) service: &'static str,
    pub(super) method: &'static str,
}

impl Method {
    /// Health and reflection: their streams have no end of their own.
    pub(super) fn is_ours(&self) -> bool {
        self.service == HEALTH || REFLECTION.contains(&self.service)
    }
}

#[derive(Debug)]
pub(super) struct Methods {
    by_path: std::collections::HashMap<String, Method>,
    services: BTreeSet<&'static str>,
}

impl Methods {
    /// The methods in encoded descriptor sets, with health and reflection.
    pub(super) fn of(descriptors: &[&[u8]]) -> Result<Self, prost::DecodeError> {
        let mut methods = Self {
            by_path: std::collections::HashMap::new(),
            services: BTreeSet::new(),
        };
        for set in descriptors {
            methods.add_set(&FileDescriptorSet::decode(*set)?);
        }
        methods.add(HEALTH, "Check");
        methods.add(HEALTH, "Watch");
        for service in REFLECTION {
            methods.add(service, "ServerReflectionInfo");
        }
        Ok(methods)
    }

    /// What `path` names.
    pub(super) fn find(&self, path: &str) -> Method {
        self.by_path.get(path).copied().unwrap_or(UNKNOWN)
    }

    /// The full names of the program's own services.
    pub(super) fn services(&self) -> impl Iterator<Item = &'static str> {
        self.services.iter().copied()
    }

    fn add_set(&mut self, set: &FileDescriptorSet) {
        for file in &set.file {
            for service in &file.service {
                let name = match file.package() {
                    "" => service.name().to_owned(),
                    package => format!("{package}.{}", service.name()),
                };
                let name = forever(name);
                self.services.insert(name);
                for method in &service.method {
                    self.add(name, forever(method.name().to_owned()));
                }
            }
        }
    }

    fn add(&mut self, service: &'static str, method: &'static str) {
        self.by_path
            .insert(format!("/{service}/{method}"), Method { service, method });
    }
}

/// Labels are copied for every call, so they are `&'static`. A program leaks its few
/// names once, at start.
fn forever(name: String) -> &'static str {
    String::leak(name)
}
