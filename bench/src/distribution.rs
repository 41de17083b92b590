//! Many times of the same thing, in the words of a table.

use std::fmt;
use std::time::Duration;

/// Sorted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Distribution(Vec<Duration>);

impl Distribution {
    /// The time that the given share of all stayed within.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.0.get(index).copied().unwrap_or_default()
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<Duration> for Distribution {
    fn from_iter<T: IntoIterator<Item = Duration>>(times: T) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

/// p50, p99 and the longest, in milliseconds.
impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |share| self.percentile(share).as_secs_f64() * 1e3;
        write!(f, "{:>8.2} {:>8.2} {:>8.2}", ms(0.5), ms(0.99), ms(1.0))
    }
}

/// The head over what is displayed.
pub(crate) const HEAD: &str = "  p50 ms   p99 ms   max ms";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_percentiles_of_what_it_saw() {
        let times: Distribution = (1..=101).rev().map(Duration::from_millis).collect();
        assert_eq!(times.to_string(), "   51.00   100.00   101.00");
        assert_eq!(Distribution::default().percentile(0.5), Duration::ZERO);
    }
}
