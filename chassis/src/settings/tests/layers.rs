//! File under environment under command line, and where each value came from.

use super::*;

fn gather(file: &str, environment: &[(&str, &str)], set: &[&str]) -> Result<Sources, Problems> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("g.toml");
    std::fs::write(&path, file).unwrap();
    let command_line = CommandLine {
        config: Some(path),
        set: set.iter().map(|set| (*set).to_owned()).collect(),
        ..CommandLine::default()
    };
    let environment = environment
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    load("gateway", &command_line, environment)
}

#[track_caller]
fn check(environment: &[(&str, &str)], set: &[&str], expected: Result<u32, &str>) {
    let sources = gather("[limits]\nworkers = 1", environment, set);
    let result = sources.and_then(|sources| {
        read(sources, |section| {
            Some(section.section("limits", |l| l.value("workers", 0)))
        })
    });
    let result = result.map_err(|problems| problems.to_string());
    assert_eq!(
        result,
        expected.map_err(str::to_owned),
        "{environment:?} {set:?}"
    );
}

#[test]
fn later_layers_win() {
    let environment = [("LATCHKEY_LIMITS__WORKERS", "2")];
    check(&[], &[], Ok(1));
    check(&environment, &[], Ok(2));
    check(&environment, &["limits.workers=3"], Ok(3));
    check(&[], &["limits.workers=3", "limits.workers=4"], Ok(4));
    check(&[("LATCHKEY_LIMITS", "{ workers = 5 }")], &[], Ok(5));
}

#[test]
fn mistakes_name_variable_and_flag() {
    let expected = "limits.workers: invalid type: string \"many\", expected u32";
    check(
        &[("LATCHKEY_LIMITS__WORKERS", "many")],
        &[],
        Err(&format!("{expected} (LATCHKEY_LIMITS__WORKERS)")),
    );
    check(
        &[],
        &["limits.workers=many"],
        Err(&format!("{expected} (--set limits.workers)")),
    );
    check(
        &[("LATCHKEY_LIMITS__WORKRES", "1")],
        &[],
        Err("limits.workres: unknown setting; did you mean `workers`? (LATCHKEY_LIMITS__WORKRES)"),
    );
    check(
        &[],
        &["workers"],
        Err("--set: is not of the form key=value"),
    );
    check(&[], &["=3"], Err("--set: is not of the form key=value"));
    check(
        &[],
        &["limits..workers=3"],
        Err("--set: is not of the form key=value"),
    );
}

#[test]
fn every_variable_of_ours_is_a_setting() {
    check(
        &[("LATCHKEY_COLOUR", "red")],
        &[],
        Err("colour: unknown setting (LATCHKEY_COLOUR)"),
    );
    let malformed = "not the name of a setting: upper case, `__` between levels";
    for name in [
        "LATCHKEY_",
        "LATCHKEY_limits",
        "LATCHKEY_A____B",
        "LATCHKEY_A__",
        "LATCHKEY_Ä",
    ] {
        check(&[(name, "1")], &[], Err(&format!("{malformed} ({name})")));
    }
}

#[test]
fn variables_that_nobody_here_asked_for_are_left_alone() {
    let foreign = [
        ("PATH", "/bin"),
        ("XLATCHKEY_A", "1"),
        ("latchkey_a", "1"),
        ("LATCHKEY_CONFIG", "/elsewhere.toml"),
        ("LATCHKEY_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("LATCHKEY_GATEWAY_SERVICE_PORT", "80"),
        ("LATCHKEY_GATEWAY_SERVICE_PORT_HTTP", "80"),
        ("LATCHKEY_GATEWAY_PORT", "tcp://10.0.0.1:80"),
        ("LATCHKEY_GATEWAY_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("LATCHKEY_GATEWAY_PORT_80_TCP_ADDR", "10.0.0.1"),
    ];
    check(&foreign, &[], Ok(1));
}

#[test]
fn a_section_and_a_value_of_one_name_contradict_each_other() {
    let value = gather("[limits]\nworkers = 1", &[("LATCHKEY_LIMITS", "3")], &[]);
    let text = read(value.unwrap(), |_| Some(())).unwrap_err().to_string();
    assert!(
        text.contains("limits: is a section in one place and a value in another"),
        "{text}"
    );
    assert!(
        text.contains("g.toml:1") && text.contains("(LATCHKEY_LIMITS)"),
        "{text}"
    );
    let level = gather("limits = 3", &[], &["limits.workers=3"]);
    let text = read(level.unwrap(), |_| Some(())).unwrap_err().to_string();
    assert!(text.contains("(--set limits.workers)"), "{text}");
}

#[track_caller]
fn check_typed<T>(typed: &str, expected: T)
where
    T: serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let sources = Sources::default().with(&format!("key={typed}"));
    let value = read(sources, |section| section.required::<T>("key")).unwrap();
    assert_eq!(value, expected, "{typed:?}");
}

#[test]
fn typed_values_mean_what_they_look_like() {
    check_typed("5", 5_u8);
    check_typed("true", true);
    check_typed("[1, 2]", vec![1, 2]);
    check_typed("['a=b']", vec!["a=b".to_owned()]);
    check_typed(
        "127.0.0.1:8080",
        "127.0.0.1:8080".parse::<SocketAddr>().unwrap(),
    );
    check_typed("http://x/?a=b", "http://x/?a=b".to_owned());
    check_typed("", String::new());
    check_typed("\"quoted\"", "quoted".to_owned());
    // A string that happens to be something else in TOML.
    check_typed("12345", "12345".to_owned());
    check_typed("true", "true".to_owned());
    check_typed("2026-01-01", "2026-01-01".to_owned());
}

#[test]
fn a_programs_own_flag_goes_over_everything() {
    let command_line = CommandLine {
        set: vec!["listen=127.0.0.1:1".to_owned()],
        ..CommandLine::default()
    };
    let command_line = command_line.with("listen", "elsewhere", "--listen");
    let sources = load("gateway", &command_line, std::iter::empty()).unwrap();
    let text = read(sources, |section| section.required::<SocketAddr>("listen"));
    let text = text.unwrap_err().to_string();
    assert_eq!(text, "listen: invalid socket address syntax (--listen)");
}

#[test]
fn the_file_is_bounded_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("big.toml");
    std::fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    let environment = |path: &std::path::Path| {
        std::iter::once(("LATCHKEY_CONFIG".to_owned(), path.display().to_string()))
    };
    let nobody = CommandLine::default();
    let text = load("gateway", &nobody, environment(&path))
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("larger than 1048576 bytes") && text.contains("big.toml"),
        "{text}"
    );
    let missing = directory.path().join("missing.toml");
    let text = load("gateway", &nobody, environment(&missing))
        .unwrap_err()
        .to_string();
    assert!(text.contains("missing.toml"), "{text}");
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    let text = load("gateway", &nobody, environment(&path))
        .unwrap_err()
        .to_string();
    assert!(text.contains("UTF-8"), "{text}");
}

#[test]
fn effective_settings_show_values_defaults_and_origins() {
    let sources = gather(
        "listen = '127.0.0.1:1'",
        &[("LATCHKEY_WORKERS", "7")],
        &["limits.body=1MiB"],
    );
    let (_, effective) = read_effective(sources.unwrap(), config).unwrap();
    let text = effective.to_string();
    assert!(text.contains("workers = 7  # LATCHKEY_WORKERS\n"), "{text}");
    assert!(
        text.contains("limits.timeout = \"1m\"  # default\n"),
        "{text}"
    );
    assert!(
        text.contains("limits.body = \"1MiB\"  # --set limits.body\n"),
        "{text}"
    );
    assert!(text.contains("g.toml:1\n"), "{text}");
    // What is printed is settings again.
    let again = read(Sources::from_toml("again.toml", &text), config).unwrap();
    assert_eq!(again.workers, 7);
    assert_eq!(again.body, 1 << 20);
}
