//! What each call does, and for whom.

use chassis::status::{reason_of, retry_delay_of};
use prost_types::FieldMask;
use proto::profile::v1::{GetProfileRequest, Profile, UpdateProfileRequest};
use tonic::{Code, Status};

use crate::harness::{ALICE, ANONYMOUS, BOB, Client, GUEST, Program, WORKLOAD, with};

/// A client that speaks for one token.
pub(crate) struct Caller {
    client: Client,
    token: String,
}

impl Caller {
    pub(crate) async fn new(program: &Program, subject: &str) -> Self {
        Self {
            client: program.client().await,
            token: program.token(subject),
        }
    }

    pub(crate) async fn after(program: &Program, subject: &str, guest: &str) -> Self {
        Self {
            client: program.client().await,
            token: program.token_after(subject, guest),
        }
    }

    pub(crate) async fn get(&mut self) -> Result<Profile, Status> {
        let answer = self
            .client
            .get_profile(with(&self.token, GetProfileRequest {}))
            .await?;
        Ok(answer
            .into_inner()
            .profile
            .expect("an answer has a profile"))
    }

    /// Sets the fields that are named here.
    pub(crate) async fn set(&mut self, fields: &[(&str, &str)]) -> Result<Profile, Status> {
        let mut profile = Profile::default();
        for (field, value) in fields {
            match *field {
                "display_name" => profile.display_name = (*value).into(),
                "theme" => profile.theme = (*value).into(),
                "locale" => profile.locale = (*value).into(),
                "currency" => profile.currency = (*value).into(),
                "subject" => profile.subject = (*value).into(),
                _ => {}
            }
        }
        let paths: Vec<_> = fields.iter().map(|(field, _)| *field).collect();
        self.update(Some(profile), Some(&paths)).await
    }

    pub(crate) async fn update(
        &mut self,
        profile: Option<Profile>,
        paths: Option<&[&str]>,
    ) -> Result<Profile, Status> {
        let paths = paths.map(|paths| paths.iter().map(|path| (*path).to_owned()).collect());
        let update_mask = paths.map(|paths| FieldMask { paths });
        let request = with(
            &self.token,
            UpdateProfileRequest {
                profile,
                update_mask,
            },
        );
        let answer = self.client.update_profile(request).await?;
        Ok(answer
            .into_inner()
            .profile
            .expect("an answer has a profile"))
    }
}

/// What somebody sees who has set nothing.
pub(crate) fn defaults(subject: &str) -> Profile {
    Profile {
        subject: subject.into(),
        display_name: String::new(),
        theme: "system".into(),
        locale: "en".into(),
        currency: "EUR".into(),
    }
}

#[track_caller]
pub(crate) fn check(answer: Result<Profile, Status>, code: Code, reason: &str) {
    let refused = answer.expect_err("a refusal");
    assert_eq!(
        (refused.code(), reason_of(&refused).as_deref()),
        (code, Some(reason))
    );
}

#[tokio::test]
async fn everybody_reads_defaults_and_their_own_subject() {
    let program = Program::start().await;
    for subject in [ALICE, GUEST, ANONYMOUS, WORKLOAD] {
        let profile = Caller::new(&program, subject).await.get().await.unwrap();
        assert_eq!(profile, defaults(subject));
    }
    assert_eq!(program.rows().await, 0);
}

#[tokio::test]
async fn an_update_sets_the_named_fields_and_no_others() {
    let program = Program::start().await;
    for subject in [ALICE, GUEST] {
        let mut caller = Caller::new(&program, subject).await;
        let everything = Profile {
            subject: String::new(),
            display_name: "  Ada Lovelace ".into(),
            theme: "dark".into(),
            locale: "DE-ch".into(),
            currency: "CHF".into(),
        };
        let set = caller
            .update(Some(everything.clone()), Some(&["theme", "locale"]))
            .await
            .unwrap();
        let expected = Profile {
            theme: "dark".into(),
            locale: "de-CH".into(),
            ..defaults(subject)
        };
        assert_eq!(set, expected);

        let set = caller
            .update(Some(everything), Some(&["currency", "display_name"]))
            .await;
        let expected = Profile {
            display_name: "Ada Lovelace".into(),
            currency: "CHF".into(),
            ..expected
        };
        assert_eq!(set.unwrap(), expected);
        assert_eq!(caller.get().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn profiles_of_two_people_never_meet() {
    let program = Program::start().await;
    Caller::new(&program, ALICE)
        .await
        .set(&[("theme", "dark")])
        .await
        .unwrap();
    assert_eq!(
        Caller::new(&program, BOB).await.get().await.unwrap(),
        defaults(BOB)
    );
}

#[tokio::test]
async fn who_cannot_have_a_profile_may_not_write() {
    let program = Program::start().await;
    for subject in [ANONYMOUS, WORKLOAD] {
        let mut nobody = Caller::new(&program, subject).await;
        for fields in [&[("theme", "dark")][..], &[("nonsense", "")], &[]] {
            check(
                nobody.set(fields).await,
                Code::PermissionDenied,
                "SESSION_REQUIRED",
            );
        }
    }
    assert_eq!(program.rows().await, 0);
}

#[tokio::test]
async fn identity_comes_from_the_token_alone() {
    let program = Program::start().await;
    let mut alice = Caller::new(&program, ALICE).await;
    // A subject in the message is no reason to refuse, and no reason to believe it.
    let claimed = Profile {
        subject: BOB.into(),
        theme: "dark".into(),
        ..Profile::default()
    };
    let set = alice.update(Some(claimed), Some(&["theme"])).await.unwrap();
    assert_eq!(
        set,
        Profile {
            theme: "dark".into(),
            ..defaults(ALICE)
        }
    );

    let mut request = with(&program.token(BOB), GetProfileRequest {});
    for name in [
        "x-user-id",
        "x-user-sub",
        "x-subject",
        "x-forwarded-user",
        "sub",
        "user",
    ] {
        request.metadata_mut().insert(name, ALICE.parse().unwrap());
    }
    let seen = program
        .client()
        .await
        .get_profile(request)
        .await
        .unwrap()
        .into_inner()
        .profile;
    assert_eq!(seen, Some(defaults(BOB)));
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable_and_reading_goes_on() {
    let program = Program::start().await;
    let mut alice = Caller::new(&program, ALICE).await;
    alice.set(&[("theme", "dark")]).await.unwrap();
    let beside = chassis::sqlite::open(&program.database()).await.unwrap();
    let lock = beside.write().await.unwrap();

    let refused = alice.set(&[("theme", "light")]).await.unwrap_err();
    assert_eq!(reason_of(&refused).as_deref(), Some("STORE_UNAVAILABLE"));
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(retry_delay_of(&refused).is_some());
    assert_eq!(alice.get().await.unwrap().theme, "dark");

    lock.rollback().await.unwrap();
    assert_eq!(
        alice.set(&[("theme", "light")]).await.unwrap().theme,
        "light"
    );
}

#[tokio::test]
async fn a_profile_that_the_store_refuses_to_read_is_our_fault() {
    let program = Program::start().await;
    program
        .tamper("ALTER TABLE profiles RENAME TO elsewhere")
        .await;
    let refused = Caller::new(&program, ALICE).await.get().await;
    assert_eq!(refused.as_ref().unwrap_err().message(), "internal error");
    check(refused, Code::Internal, "INTERNAL");
}
