use super::*;

const ID: &str = "018f4c1e-7b1a-7c3d-8e5f-0a1b2c3d4e5f";

#[test]
fn reads_each_kind() {
    for (text, kind) in [
        (format!("usr_{ID}"), SubjectKind::User),
        (format!("gst_{ID}"), SubjectKind::Guest),
        ("svc_gateway".to_owned(), SubjectKind::Workload),
        ("svc_cart-service-2".to_owned(), SubjectKind::Workload),
        ("anonymous".to_owned(), SubjectKind::Anonymous),
    ] {
        let subject = Subject::parse(&text).unwrap();
        assert_eq!(subject.kind(), kind, "{text}");
        assert_eq!(subject.as_str(), text);
        assert_eq!(text.parse::<Subject>().unwrap(), subject);
    }
}

#[test]
fn refuses_every_other_spelling() {
    let upper = format!("usr_{}", ID.to_uppercase());
    let braced = format!("usr_{{{ID}}}");
    let simple = format!("usr_{}", ID.replace('-', ""));
    let long = format!("svc_{}", "a".repeat(64));
    let trailing = format!("usr_{ID}\n");
    for (text, error) in [
        ("", SubjectError::UnknownKind),
        ("root", SubjectError::UnknownKind),
        ("Anonymous", SubjectError::UnknownKind),
        ("anonymous ", SubjectError::UnknownKind),
        ("USR_", SubjectError::UnknownKind),
        ("usr_", SubjectError::NotAUuid),
        ("gst_1", SubjectError::NotAUuid),
        (&upper, SubjectError::NotAUuid),
        (&braced, SubjectError::NotAUuid),
        (&simple, SubjectError::NotAUuid),
        (&trailing, SubjectError::NotAUuid),
        ("svc_", SubjectError::BadWorkloadName),
        ("svc_9lives", SubjectError::BadWorkloadName),
        ("svc_a-", SubjectError::BadWorkloadName),
        ("svc_Gateway", SubjectError::BadWorkloadName),
        ("svc_a/b", SubjectError::BadWorkloadName),
        (&long, SubjectError::BadWorkloadName),
    ] {
        assert_eq!(Subject::parse(text), Err(error), "{text:?}");
    }
}
