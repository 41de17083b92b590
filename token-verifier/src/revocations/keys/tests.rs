use super::*;

const SESSION: &str = "0197a3c2-5b1e-7c3d-8e5f-0a1b2c3d4e5f";

#[test]
fn a_uuid_is_its_own_bits() {
    assert_eq!(
        session_name(SESSION),
        0x0197_a3c2_5b1e_7c3d_8e5f_0a1b_2c3d_4e5f
    );
    assert_eq!(session_name(&SESSION.to_uppercase()), session_name(SESSION));
}

#[test]
fn what_is_no_uuid_is_hashed_and_no_two_are_alike() {
    let near = [
        "",
        "0197a3c25b1e7c3d8e5f0a1b2c3d4e5f",
        "0197a3c2-5b1e-7c3d-8e5f-0a1b2c3d4e5",
        "0197a3c2-5b1e-7c3d-8e5f-0a1b2c3d4e5g",
        "0197a3c2-5b1e-7c3d-8e5f0-a1b2c3d4e5f",
        "+197a3c2-5b1e-7c3d-8e5f-0a1b2c3d4e5f",
        "{0197a3c2-5b1e-7c3d-8e5f-0a1b2c3d4e}",
        "é197a3c2-5b1e-7c3d-8e5f-0a1b2c3d4e5",
    ];
    let mut names: Vec<u128> = near.iter().map(|id| session_name(id)).collect();
    names.push(session_name(SESSION));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), near.len() + 1);
}

#[test]
fn a_session_a_subject_and_a_key_of_one_text_are_three() {
    assert_ne!(session_name("x"), subject_name("x"));
    assert_ne!(subject_name("x"), key_name("x"));
    assert_ne!(session_name("x"), key_name("x"));
}
