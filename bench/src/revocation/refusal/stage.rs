//! The whole system: the auth service, both services, and two gateways.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, ensure};
use tokio::{
    process::Child,
    time::{sleep, timeout},
};

use super::doors::{Door, Visitor};
use crate::{
    auth::{AuthClient, AuthProcess},
    client,
    load::{Background, Connection, Target},
    processes::{free_addresses, start},
    roles::{Role, Upstream},
};

const START_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

pub(super) struct Stage {
    auth: AuthClient,
    logouts: Connection,
    /// Where sessions end.
    here: SocketAddr,
    /// Where they are used.
    elsewhere: SocketAddr,
    cart: SocketAddr,
    profile: SocketAddr,
    _processes: Vec<Child>,
}

impl Stage {
    /// Starts all of it and waits until it answers.
    pub(super) async fn set(dir: &Path) -> anyhow::Result<Self> {
        let AuthProcess {
            process,
            grpc: auth,
            http: jwks,
        } = AuthProcess::start(dir).await?;
        let [cart, profile, here, elsewhere] = free_addresses().await?;
        let gateway = |listen| Role::Gateway {
            listen,
            auth,
            upstreams: vec![Upstream::profile(profile), Upstream::cart(cart)],
            anyone: false,
            data: dir.to_path_buf(),
        };
        let data = dir.to_path_buf();
        let roles = [
            Role::Profile {
                listen: profile,
                auth,
                jwks,
                data: data.clone(),
            },
            Role::Cart {
                listen: cart,
                auth,
                jwks,
                data,
            },
            gateway(here),
            gateway(elsewhere),
        ];
        let mut processes = vec![process];
        for role in &roles {
            processes.push(start(role)?);
        }
        for gateway in [here, elsewhere] {
            client::wait_for(gateway.port(), "/api/profile").await?;
            client::wait_for(gateway.port(), "/api/cart").await?;
        }
        let stage = Self {
            auth: AuthClient::connect(auth, dir)?,
            logouts: Connection::open(here).await?,
            here,
            elsewhere,
            cart,
            profile,
            _processes: processes,
        };
        let all_serve = timeout(START_LIMIT, stage.wait_for_doors());
        all_serve.await.context("a session is not served")??;
        Ok(stage)
    }

    /// Without a session they may answer before they know of any revocation, with one not.
    async fn wait_for_doors(&self) -> anyhow::Result<()> {
        let visitor = self.visitor().await?;
        for (_, mut door) in self.doors().await? {
            while !door.serves(&visitor).await.unwrap_or(false) {
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// The three places, each over a connection of its own.
    pub(super) async fn doors(&self) -> anyhow::Result<[(&'static str, Door); 3]> {
        Ok([
            ("another gateway", Door::gateway(self.elsewhere).await?),
            ("cart service", Door::cart(self.cart)?),
            ("profile service", Door::profile(self.profile)?),
        ])
    }

    /// Somebody with a session and tokens.
    pub(super) async fn visitor(&self) -> anyhow::Result<Visitor> {
        let guest = self.auth.guest().await?;
        let cart_token = self.auth.token(&guest, cart_service::AUDIENCE).await?;
        let profile_token = self.auth.token(&guest, profile_service::AUDIENCE).await?;
        Ok(Visitor {
            guest,
            cart_token,
            profile_token,
        })
    }

    /// Where [`log_out`](Self::log_out) goes.
    pub(super) fn logout_port(&self) -> u16 {
        self.here.port()
    }

    /// Sends a logout and waits for its answer.
    pub(super) async fn log_out(&mut self, request: &[u8]) -> anyhow::Result<()> {
        let status = self.logouts.ask(request).await?.status;
        ensure!(status == 204, "the logout answered {status}");
        Ok(())
    }

    /// Somebody else's requests at the gateway where sessions are tried, for both services.
    pub(super) async fn load(&self, connections: usize) -> anyhow::Result<Background> {
        let cookie = self.visitor().await?.cookie();
        let port = self.elsewhere.port();
        let target = |name, path| Target::get(name, port, path, Some(&cookie));
        let targets = vec![
            target("profile", "/api/profile"),
            target("cart", "/api/cart"),
        ];
        let load = Background::start(targets, connections / 2);
        // It is to be there before the first logout.
        sleep(Duration::from_secs(1)).await;
        Ok(load)
    }
}
