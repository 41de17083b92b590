//! Where the parts of a running `latchkey` listen, as a file that other
//! commands read.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::Context;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Addresses {
    pub(crate) gateway: SocketAddr,
    pub(crate) gateway_operations: SocketAddr,
    pub(crate) auth_grpc: SocketAddr,
    pub(crate) auth_http: SocketAddr,
    pub(crate) auth_operations: SocketAddr,
    pub(crate) cart: SocketAddr,
    pub(crate) cart_operations: SocketAddr,
    pub(crate) profile: SocketAddr,
    pub(crate) profile_operations: SocketAddr,
}

impl Addresses {
    /// Writes the file in one step: a reader sees all of it or none.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let partial = path.with_extension("partial");
        fs::write(&partial, serde_json::to_vec_pretty(self)?)
            .and_then(|()| fs::rename(&partial, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read(path).with_context(|| {
            format!(
                "cannot read {}: is `latchkey` running with this data directory?",
                path.display()
            )
        })?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not an address file", path.display()))
    }

    /// The table that a person sees first.
    pub(crate) fn table(&self) -> String {
        let Self {
            gateway,
            auth_grpc,
            auth_http,
            cart,
            profile,
            ..
        } = self;
        let port = gateway.port();
        let operations = [
            ("gateway", self.gateway_operations),
            ("auth", self.auth_operations),
            ("cart", self.cart_operations),
            ("profile", self.profile_operations),
        ]
        .map(|(name, address)| format!("{name} {address}"))
        .join(", ");
        format!(
            "\
  open in a browser   http://localhost:{port}
  gateway             http://{gateway}
  auth service        grpc {auth_grpc}, JWKS http://{auth_http}/.well-known/jwks.json
  cart service        grpc {cart}
  profile service     grpc {profile}
  operations          {operations}

Things to try:
  curl http://localhost:{port}/api/products
  curl -c jar -b jar -H 'Origin: http://localhost:{port}' -H 'Content-Type: application/json' \\
       -d '{{\"sku\":\"brass-key\",\"quantity\":2}}' http://localhost:{port}/api/cart/items
  TOKEN=$(cargo run -q -- token --audience cart-service --guest)
  grpcurl -plaintext -H \"authorization: Bearer $TOKEN\" {cart} latchkey.cart.v1.CartService/GetCart
"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Addresses {
            gateway: at(1),
            gateway_operations: at(2),
            auth_grpc: at(3),
            auth_http: at(4),
            auth_operations: at(5),
            cart: at(6),
            cart_operations: at(7),
            profile: at(8),
            profile_operations: at(9),
        }
    }

    #[test]
    fn reads_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("addresses.json");
        addresses().write(&file).unwrap();
        assert_eq!(Addresses::read(&file).unwrap(), addresses());
    }

    #[test]
    fn says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let error = Addresses::read(&dir.path().join("addresses.json")).unwrap_err();
        assert!(
            error.to_string().contains("is `latchkey` running"),
            "{error}"
        );
    }

    #[test]
    fn table_names_the_browser_address() {
        assert!(
            addresses()
                .table()
                .contains("open in a browser   http://localhost:1\n")
        );
    }
}
