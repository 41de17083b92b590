use super::*;

fn check(lines: &str, passed: u64, failed: u64, skipped: u64) {
    let mut summary = Summary::default();
    lines
        .lines()
        .for_each(|line| summary += Summary::from_line(line));
    assert_eq!(
        summary,
        Summary {
            passed,
            failed,
            skipped
        },
        "{lines}"
    );
}

#[test]
fn counts_cargo_test() {
    let ok = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
    let failed = "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
    check(&format!("{ok}\n{failed}"), 5, 1, 1);
}

#[test]
fn counts_node() {
    check(
        "ℹ tests 7\nℹ pass 3\nℹ fail 1\nℹ cancelled 1\nℹ skipped 2\nℹ todo 0",
        3,
        2,
        2,
    );
    check("# pass 3\n# fail 0", 3, 0, 0);
}

#[test]
fn other_lines_count_nothing() {
    check("test a ... ok\n# a heading\npassed 3\nRan away", 0, 0, 0);
}

#[test]
fn says_skipped_only_when_there_are_some() {
    assert_eq!(
        Summary {
            passed: 2,
            failed: 0,
            skipped: 0
        }
        .to_string(),
        "2 passed, 0 failed"
    );
    assert_eq!(
        Summary {
            passed: 2,
            failed: 1,
            skipped: 3
        }
        .to_string(),
        "2 passed, 1 failed, 3 skipped"
    );
}
