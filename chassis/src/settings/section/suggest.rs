//! "Did you mean".

/// Two typing mistakes are a typo; more are another word.
const MAX_DISTANCE: usize = 2;

/// The known name nearest to `name`, if it is near enough to be what was meant.
pub(super) fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let (distance, nearest) = known
        .iter()
        .map(|known| (distance(name, known), known.as_str()))
        .min()?;
    // In a short name two changes are too many: `ip` is not `id`.
    (distance <= MAX_DISTANCE.min(name.len() / 3)).then_some(nearest)
}

/// Levenshtein's distance, over bytes: names are ASCII.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, from) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, to) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}
