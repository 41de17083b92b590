use clap::{CommandFactory as _, Parser as _};

use super::CommandLine;

fn accepts(arguments: &str) -> bool {
    let words = ["latchkey"].into_iter().chain(arguments.split(' '));
    CommandLine::try_parse_from(words).is_ok()
}

#[track_caller]
fn check(arguments: &str, accepted: bool) {
    assert_eq!(accepts(arguments), accepted, "{arguments}");
}

#[test]
fn the_definition_holds_together() {
    CommandLine::command().debug_assert();
}

#[test]
fn operators_name_one_thing_and_only_one() {
    check(
        "sessions revoke --id 01890000-0000-7000-8000-000000000000",
        true,
    );
    check("sessions revoke --subject usr_x", true);
    check("sessions revoke --id x --subject y", false);
    check("sessions revoke", false);
    check("sessions", false);
    check("accounts disable --email ada@example.com", true);
    check("accounts enable --subject usr_x", true);
    check(
        "accounts disable --email ada@example.com --subject usr_x",
        false,
    );
    check("accounts enable", false);
    check("keys list --json", true);
    check("keys rotate", true);
    check("keys revoke kid", true);
    check("keys revoke", false);
}

#[test]
fn a_kid_may_begin_with_a_dash() {
    check("keys revoke -Wq3_xyz", true);
    check("keys revoke --data-dir somewhere -Wq3_xyz", true);
}

#[test]
fn a_connection_is_a_data_directory_or_an_address_with_a_key() {
    check("keys list --data-dir elsewhere", true);
    check(
        "keys list --auth-address http://localhost:1 --workload-key key.pem",
        true,
    );
    check(
        "keys list --auth-address http://localhost:1 --workload-name ops --workload-key key.pem",
        true,
    );
    check("keys list --auth-address http://localhost:1", false);
    check("keys list --workload-key key.pem", false);
    check("keys list --workload-name ops", false);
    check(
        "keys list --data-dir x --auth-address http://localhost:1 --workload-key key.pem",
        false,
    );
    check(
        "token --guest --audience a --auth-address http://localhost:1 --workload-key k",
        true,
    );
}
