//! The passwords that attackers try first, from `data/common-passwords.txt`.

use std::sync::LazyLock;

/// One password a line, lower case, sorted by bytes, without repeats.
static LIST: &str = include_str!("../../data/common-passwords.txt");

/// The list's lines. Pointers into the program's own text: nothing is copied.
static SORTED: LazyLock<Vec<&'static str>> = LazyLock::new(|| LIST.lines().collect());

/// Whether a password in lower case is on the list.
pub(super) fn contains(lower: &str) -> bool {
    SORTED.binary_search(&lower).is_ok()
}

/// The list itself, for tests.
#[cfg(test)]
pub(super) fn all() -> &'static [&'static str] {
    &SORTED
}
