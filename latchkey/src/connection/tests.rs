use super::*;

fn exit_code(code: Code) -> String {
    format!("{:?}", Refused::from(Status::new(code, "x")).exit_code())
}

#[test]
fn scripts_can_tell_what_is_not_there_from_what_is_away() {
    let code = |code: u8| format!("{:?}", ExitCode::from(code));
    assert_eq!(exit_code(Code::NotFound), code(3));
    assert_eq!(exit_code(Code::Unavailable), code(4));
    assert_eq!(exit_code(Code::DeadlineExceeded), code(4));
    assert_eq!(exit_code(Code::PermissionDenied), code(1));
    assert_eq!(exit_code(Code::Unauthenticated), code(1));
    assert_eq!(exit_code(Code::InvalidArgument), code(1));
}

#[test]
fn repeats_the_reason_and_what_is_wrong_with_each_field() {
    let status = chassis::status::invalid([("session_id", "must be a session's id")]);
    assert_eq!(
        Refused::from(status).to_string(),
        "the auth service answered INVALID_ARGUMENT: invalid argument; session_id must be a \
         session's id"
    );
}

#[test]
fn says_that_nobody_answered() {
    let refused = Refused::from(Status::unavailable("tcp connect error"));
    assert_eq!(
        refused.to_string(),
        "no answer from the auth service (Unavailable: tcp connect error)"
    );
}

#[test]
fn needs_a_key_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = command_line::Connection {
        data_dir: dir.path().to_path_buf(),
        auth_address: Some("http://localhost:1".to_owned()),
        workload_name: "ops".to_owned(),
        workload_key: Some(dir.path().join("absent.pem")),
    };
    assert!(open(&arguments).is_err());
}
