//! From a logout at one gateway to its refusal at another, and at the services.

mod doors;
mod stage;

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::{
    doors::{Door, Visitor},
    stage::Stage,
};
use crate::{
    distribution::{Distribution, HEAD},
    processes::machine,
};

/// Requests that are served before the logout: connections and caches are warm, and the
/// poll is in its stride.
const SERVED_BEFORE: u32 = 3;
/// A session that is still served after that long will be for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures and prints.
pub(super) async fn run(logouts: u32, connections: u16) -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let mut stage = Stage::set(data.path()).await?;
    println!("{logouts} logouts each, {}", machine()?);
    println!(
        "{:<26} {:^26}   {:^26}   {:^26}",
        "from the logout's …", "sending: last served", "sending: refused", "answer: refused"
    );
    println!(
        "{:<26} {HEAD:>26}   {HEAD:>26}   {HEAD:>26} {:>13} {:>9} {:>8}",
        "", "served after", "latest ms", "poll µs"
    );
    measure_all(&mut stage, "idle", logouts).await?;
    let load = stage.load(usize::from(connections)).await?;
    measure_all(&mut stage, "load", logouts).await?;
    let mut round = load.stop()?;
    println!(
        "the load: {connections} connections, {:.0} requests/s, p50 {} µs, p99 {} µs",
        round.rate(),
        round.percentile_us(0.5),
        round.percentile_us(0.99),
    );
    println!("all processes still run; {}", machine()?);
    Ok(())
}

async fn measure_all(stage: &mut Stage, condition: &str, logouts: u32) -> anyhow::Result<()> {
    for (name, mut door) in stage.doors().await? {
        let mut samples = Vec::with_capacity(logouts as usize);
        for _ in 0..logouts {
            let (sample, back) = log_out(stage, door).await?;
            samples.push(sample);
            door = back;
        }
        print_row(&format!("{name}, {condition}"), &samples);
    }
    Ok(())
}

/// What one logout showed at one door.
struct Sample {
    /// From the sending of the logout to that of the last request that was served. Zero if
    /// none was.
    last_served: Duration,
    /// From the sending of the logout to the first refusal.
    from_sending: Duration,
    /// From the logout's answer. Zero if the refusal came first.
    from_answer: Duration,
    /// How long after that answer the last request was sent that was served.
    served_after: Option<Duration>,
    /// From one poll to the next, on average.
    poll: Duration,
}

fn print_row(name: &str, samples: &[Sample]) {
    let of = |time: fn(&Sample) -> Duration| samples.iter().map(time).collect::<Distribution>();
    let served: Distribution = samples.iter().filter_map(|s| s.served_after).collect();
    println!(
        "{name:<26} {}   {}   {} {:>13} {:>9.2} {:>8}",
        of(|sample| sample.last_served),
        of(|sample| sample.from_sending),
        of(|sample| sample.from_answer),
        served.count(),
        served.percentile(1.0).as_secs_f64() * 1e3,
        of(|sample| sample.poll).percentile(0.5).as_micros(),
    );
}

/// A session's whole life. Gives the door back.
async fn log_out(stage: &mut Stage, door: Door) -> anyhow::Result<(Sample, Door)> {
    let visitor = stage.visitor().await?;
    let (served, is_served) = oneshot::channel();
    let logout = visitor.logout(stage.logout_port());
    let polling = tokio::spawn(poll(door, visitor, served));
    // A poll that failed says so itself.
    let _ = is_served.await;
    let sent = Instant::now();
    if !polling.is_finished() {
        stage.log_out(&logout).await?;
    }
    let answered = Instant::now();
    let (polled, door) = polling.await??;
    let sample = Sample {
        last_served: polled.last_served.saturating_duration_since(sent),
        from_sending: polled.refused_at.saturating_duration_since(sent),
        from_answer: polled.refused_at.saturating_duration_since(answered),
        served_after: polled.last_served.checked_duration_since(answered),
        poll: polled.every,
    };
    Ok((sample, door))
}

struct Polled {
    /// When the last request was sent that was served.
    last_served: Instant,
    /// When the first refusal was there.
    refused_at: Instant,
    every: Duration,
}

/// Asks over and over, one request at a time, until it is refused.
async fn poll(
    mut door: Door,
    visitor: Visitor,
    served: oneshot::Sender<()>,
) -> anyhow::Result<(Polled, Door)> {
    // The gateway's first request exchanges the session for a token.
    anyhow::ensure!(door.serves(&visitor).await?, "refused before the logout");
    let mut served = Some(served);
    let began = Instant::now();
    let mut polls = 0;
    let mut last_served = began;
    loop {
        let sent = Instant::now();
        let is_served = door.serves(&visitor).await?;
        polls += 1;
        if polls == SERVED_BEFORE
            && let Some(served) = served.take()
        {
            // It fails if the measurement is being given up.
            let _ = served.send(());
        }
        if !is_served {
            anyhow::ensure!(polls > SERVED_BEFORE, "refused before the logout");
            let refused_at = Instant::now();
            let polled = Polled {
                last_served,
                refused_at,
                every: (refused_at - began) / polls,
            };
            return Ok((polled, door));
        }
        last_served = sent;
        anyhow::ensure!(
            began.elapsed() < PATIENCE,
            "still served after {PATIENCE:?}"
        );
    }
}
