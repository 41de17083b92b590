//! Counting what the test runners report.

use std::{fmt, ops::AddAssign};

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Summary {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Summary {
    /// What a runner that could not even start, or crashed, counts as.
    pub(crate) const BROKEN: Self = Self {
        passed: 0,
        failed: 1,
        skipped: 0,
    };

    /// What `line` of a runner's output adds: the closing lines of cargo test and of
    /// node's test runner are known, and `tests/interop/python/run.py` writes the latter.
    pub(crate) fn from_line(line: &str) -> Self {
        cargo_test(line).or_else(|| node(line)).unwrap_or_default()
    }
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(formatter, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; …`
fn cargo_test(line: &str) -> Option<Summary> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        counts
            .split("; ")
            .find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
    };
    Some(Summary {
        passed: count("passed")?,
        failed: count("failed")?,
        skipped: count("ignored")?,
    })
}

/// `ℹ pass 3`, `ℹ fail 0` and so on, or `# pass 3` when it writes TAP.
fn node(line: &str) -> Option<Summary> {
    let (word, number) = line
        .strip_prefix("ℹ ")
        .or_else(|| line.strip_prefix("# "))?
        .split_once(' ')?;
    let number = number.parse().ok()?;
    match word {
        "pass" => Some(Summary {
            passed: number,
            ..Summary::default()
        }),
        "fail" | "cancelled" => Some(Summary {
            failed: number,
            ..Summary::default()
        }),
        "skipped" => Some(Summary {
            skipped: number,
            ..Summary::default()
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
