//! The same answer three ways: through the gateway with a session, through a
//! gateway that asks for none, and through a bare axum → tonic pair.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

use crate::{
    client,
    load::{self, Round, Target},
    processes::{free_addresses, machine, start},
    roles::{Role, Upstream},
};

/// What to measure with.
#[derive(Args)]
pub(crate) struct Hop {
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Rounds; each drives every target once, in turn.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Seconds that a round drives one target.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

impl Hop {
    /// Starts everything, measures, prints, and stops everything.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let stage = Stage::set(dir.path()).await?;
        let length = Duration::from_secs(self.seconds);
        let connections = usize::from(self.connections);
        let drive = async |target, length| {
            load::drive(target, connections, length, &CancellationToken::new()).await
        };
        for target in &stage.targets {
            // Connections, caches and the allocator warm up outside the figures.
            drive(target, Duration::from_secs(1)).await?;
        }
        let mut seen: Vec<Vec<Round>> = stage.targets.iter().map(|_| Vec::new()).collect();
        for _ in 0..self.rounds {
            for (target, rounds) in stage.targets.iter().zip(&mut seen) {
                rounds.push(drive(target, length).await?);
            }
        }
        println!(
            "{} connections, {} rounds of {} s each, {}",
            self.connections,
            self.rounds,
            self.seconds,
            machine()?,
        );
        print_table(&stage.targets, seen);
        Ok(())
    }
}

/// The median of what a round showed, over all rounds.
struct Row {
    rate: f64,
    p50: u32,
    p99: u32,
}

fn print_table(targets: &[Target], seen: Vec<Vec<Round>>) {
    let rows: Vec<Row> = seen.into_iter().map(summarise).collect();
    let Some(bare) = rows.last() else { return };
    println!(
        "{:<28} {:>10} {:>8} {:>8} {:>12} {:>12}",
        "", "requests/s", "p50 µs", "p99 µs", "rate/bare", "p99/bare"
    );
    for (target, row) in targets.iter().zip(&rows) {
        println!(
            "{:<28} {:>10.0} {:>8} {:>8} {:>12.2} {:>12.2}",
            target.name,
            row.rate,
            row.p50,
            row.p99,
            row.rate / bare.rate,
            f64::from(row.p99) / f64::from(bare.p99.max(1)),
        );
    }
}

fn summarise(mut rounds: Vec<Round>) -> Row {
    Row {
        rate: median(rounds.iter().map(Round::rate).collect()),
        p50: median(
            rounds
                .iter_mut()
                .map(|round| round.percentile_us(0.50))
                .collect(),
        ),
        p99: median(
            rounds
                .iter_mut()
                .map(|round| round.percentile_us(0.99))
                .collect(),
        ),
    }
}

fn median<T: Copy + Default + PartialOrd>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// All processes, and what they answer to. Dropping it ends them.
struct Stage {
    targets: Vec<Target>,
    _processes: Vec<Child>,
}

impl Stage {
    async fn set(dir: &Path) -> anyhow::Result<Self> {
        let [auth, jwks, profile, bare_profile, gateway, anyone, bare] = free_addresses().await?;
        let data = dir.to_path_buf();

        let mut processes = vec![start(&Role::Auth {
            grpc: auth,
            http: jwks,
            data: data.clone(),
        })?];
        client::wait_for(jwks.port(), "/.well-known/jwks.json").await?;
        let role = Role::Profile {
            listen: profile,
            auth,
            jwks,
            data: data.clone(),
        };
        processes.push(start(&role)?);
        let role = Role::Gateway {
            listen: gateway,
            auth,
            upstreams: vec![Upstream::profile(profile)],
            anyone: false,
            data: data.clone(),
        };
        processes.push(start(&role)?);
        client::wait_for(gateway.port(), "/api/profile").await?;

        let (cookie, subject) = sign_up(gateway.port()).await?;
        processes.push(start(&Role::BareProfile {
            listen: bare_profile,
            data: data.clone(),
            subject,
        })?);
        let role = Role::Gateway {
            listen: anyone,
            auth,
            upstreams: vec![Upstream::profile(bare_profile)],
            anyone: true,
            data,
        };
        processes.push(start(&role)?);
        processes.push(start(&Role::BareGateway {
            listen: bare,
            profile: bare_profile,
        })?);

        let target = |name, address: SocketAddr, cookie| {
            Target::get(name, address.port(), "/api/profile", cookie)
        };
        let targets = vec![
            target("gateway, authenticated", gateway, Some(&*cookie)),
            target("gateway, anyone", anyone, None),
            target("bare axum → tonic", bare, None),
        ];
        check_same_answer(&targets, &cookie).await?;
        Ok(Self {
            targets,
            _processes: processes,
        })
    }
}

/// A person with a profile of their own.
async fn sign_up(port: u16) -> anyhow::Result<(String, String)> {
    let body = r#"{"email":"bench@example.com","password":"a long enough password"}"#;
    let answer = client::request(port, "POST", "/auth/register", None, Some(body)).await?;
    let cookie = answer.cookie()?;
    let theme = Some(r#"{"theme":"dark","display_name":"Bench"}"#);
    let answer = client::request(port, "PATCH", "/api/profile", Some(&cookie), theme).await?;
    let subject = answer.json()?["subject"]
        .as_str()
        .context("a profile without subject")?
        .into();
    Ok((cookie, subject))
}

/// A comparison of different answers would be none.
async fn check_same_answer(targets: &[Target], cookie: &str) -> anyhow::Result<()> {
    let mut answers = Vec::new();
    for target in targets {
        let port = target.address.port();
        client::wait_for(port, "/api/profile").await?;
        let cookie = target
            .request
            .windows(6)
            .any(|part| part == b"Cookie")
            .then_some(cookie);
        answers.push(
            client::request(port, "GET", "/api/profile", cookie, None)
                .await?
                .json()?,
        );
    }
    ensure!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "answers differ: {answers:?}"
    );
    Ok(())
}
