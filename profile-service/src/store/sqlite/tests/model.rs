//! A property test: whatever guests and users do, in whatever order, with requests
//! that are cut short and programs that are restarted, the store says what a model
//! in a few lines says.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{Opened, abandon, open};
use crate::{
    owner::Owner,
    profile::Profile,
    store::{
        ProfileStore, Served, UpdateError,
        sqlite::SqliteProfileStore,
        tests::{at, update},
    },
};

const USERS: [&str; 2] = [
    "usr_018f4e2a-7b1c-7d3e-8f40-00000000000a",
    "usr_018f4e2a-7b1c-7d3e-8f40-00000000000b",
];
const GUESTS: [&str; 3] = [
    "gst_018f4e2a-7b1c-7d3e-8f40-000000000001",
    "gst_018f4e2a-7b1c-7d3e-8f40-000000000002",
    "gst_018f4e2a-7b1c-7d3e-8f40-000000000003",
];

type Fields = Vec<(&'static str, &'static str)>;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody reads.
    Load(Owner),
    /// Somebody writes.
    Update(Owner, Fields),
    /// Somebody's request is dropped at its so-manieth wake-up.
    Abandoned(Owner, Option<Fields>, usize),
    /// The program stops and starts.
    Restart,
}

/// What the store should hold.
#[derive(Clone, Default, PartialEq, Debug)]
struct Model {
    profiles: HashMap<String, Profile>,
    merged: HashMap<String, String>,
}

impl Model {
    fn profile_of(&self, subject: &str) -> Profile {
        self.profiles.get(subject).cloned().unwrap_or_default()
    }

    fn load(&mut self, owner: &Owner) -> Served {
        let user = owner.subject().as_str();
        let guest = owner.guest().map_or("", |guest| guest.as_str());
        let mut profile = self.profile_of(user);
        let theirs = self.profiles.remove(guest);
        let is_merged = theirs.is_some();
        if let Some(theirs) = theirs {
            profile.merge(theirs);
            self.profiles.insert(user.to_owned(), profile.clone());
            self.merged.insert(guest.to_owned(), user.to_owned());
        }
        Served { profile, is_merged }
    }

    /// `None`: refused, because the guest has been merged.
    fn update(&mut self, owner: &Owner, fields: &Fields) -> Option<Served> {
        let subject = owner.subject().as_str();
        if self.merged.contains_key(subject) {
            return None;
        }
        let mut served = self.load(owner);
        update(fields).apply(&mut served.profile);
        self.profiles
            .insert(subject.to_owned(), served.profile.clone());
        Some(served)
    }
}

fn owners() -> impl Strategy<Value = Owner> {
    let guest = (0..GUESTS.len()).prop_map(|guest| Owner::for_test(GUESTS[guest], None));
    let user = (
        0..USERS.len(),
        proptest::option::weighted(0.8, 0..GUESTS.len()),
    )
        .prop_map(|(user, guest)| Owner::for_test(USERS[user], guest.map(|guest| GUESTS[guest])));
    prop_oneof![guest, user].prop_map(|owner| owner.expect("users and guests own profiles"))
}

fn fields() -> impl Strategy<Value = Fields> {
    let all = vec![
        ("display_name", "Ada"),
        ("display_name", "Grace"),
        ("theme", "dark"),
        ("theme", "system"),
        ("locale", "de-CH"),
        ("locale", "en"),
        ("currency", "CHF"),
        ("currency", "EUR"),
    ];
    proptest::sample::subsequence(all, 1..4)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => owners().prop_map(Step::Load),
        8 => (owners(), fields()).prop_map(|(owner, fields)| Step::Update(owner, fields)),
        3 => (owners(), proptest::option::of(fields()), 0..12_usize)
            .prop_map(|(owner, fields, wake_ups)| Step::Abandoned(owner, fields, wake_ups)),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..30)
}

/// Everything in the store, read without merging.
async fn contents(store: &SqliteProfileStore) -> Model {
    let mut model = Model::default();
    let subjects: Vec<String> = sqlx::query_scalar("SELECT subject FROM profiles")
        .fetch_all(store.database.readers())
        .await
        .unwrap();
    for subject in subjects {
        let owner = Owner::for_test(&subject, None).expect("an owner");
        let profile = store.load(&owner, at(0)).await.unwrap().profile;
        model.profiles.insert(subject, profile);
    }
    let marks: Vec<(String, String)> =
        sqlx::query_as("SELECT guest_sub, user_sub FROM merged_guests")
            .fetch_all(store.database.readers())
            .await
            .unwrap();
    model.merged = marks.into_iter().collect();
    model
}

async fn run(step: Step, opened: &mut Opened, model: &mut Model) {
    let store = &opened.store;
    match step {
        Step::Load(owner) => {
            assert_eq!(store.load(&owner, at(1)).await.unwrap(), model.load(&owner));
        }
        Step::Update(owner, fields) => {
            let answer = store.update(&owner, update(&fields), at(2)).await;
            match model.update(&owner, &fields) {
                Some(expected) => assert_eq!(answer.unwrap(), expected),
                None => assert!(
                    matches!(answer, Err(UpdateError::GuestMerged)),
                    "{answer:?}"
                ),
            }
        }
        Step::Abandoned(owner, fields, wake_ups) => {
            let mut after = model.clone();
            if let Some(fields) = fields {
                after.update(&owner, &fields);
                abandon(store.update(&owner, update(&fields), at(3)), wake_ups).await;
            } else {
                after.load(&owner);
                abandon(store.load(&owner, at(3)), wake_ups).await;
            }
            // The next writer waits until the abandoned transaction is over.
            store
                .database
                .write()
                .await
                .unwrap()
                .rollback()
                .await
                .unwrap();
            let found = contents(store).await;
            assert!(
                found == *model || found == after,
                "half a request: {found:?}"
            );
            *model = found;
        }
        Step::Restart => {
            store.close().await;
            opened.store = SqliteProfileStore::open(&opened.path()).await.unwrap();
        }
    }
}

async fn play(steps: Vec<Step>) {
    let mut opened = open().await;
    let mut model = Model::default();
    for step in steps {
        run(step, &mut opened, &mut model).await;
    }
    assert_eq!(contents(&opened.store).await, model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_store_does_what_the_model_does(steps in steps()) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(play(steps));
    }
}
