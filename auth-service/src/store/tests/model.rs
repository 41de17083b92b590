//! Random operations on a store and on the simplest thing that could be right (ST-01).

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::revocations::RevocationTarget;
use crate::revocations::entry::ENTRY_LIFE;

const PEOPLE: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    SignIn { person: usize },
    SignInOver { person: usize, session: usize },
    Guest,
    Touch { session: usize },
    End { session: usize },
    Revoke { person: usize, session: usize },
    RevokeOthers { session: usize },
    ChangePassword { session: usize },
    Expire { at_most: u32 },
    Pass { hours: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let person = 0..PEOPLE;
    let session = 0..12usize;
    prop_oneof![
        4 => person.clone().prop_map(|person| Step::SignIn { person }),
        2 => (person.clone(), session.clone())
            .prop_map(|(person, session)| Step::SignInOver { person, session }),
        2 => Just(Step::Guest),
        3 => session.clone().prop_map(|session| Step::Touch { session }),
        2 => session.clone().prop_map(|session| Step::End { session }),
        2 => (person, session.clone())
            .prop_map(|(person, session)| Step::Revoke { person, session }),
        1 => session.clone().prop_map(|session| Step::RevokeOthers { session }),
        1 => session.prop_map(|session| Step::ChangePassword { session }),
        1 => (1..4u32).prop_map(|at_most| Step::Expire { at_most }),
        2 => (0..60u64).prop_map(|hours| Step::Pass { hours }),
    ]
}

/// Every session there ever was, by age; the second part says whether it is there.
struct Model {
    now: Timestamp,
    people: Vec<(Account, PasswordHash)>,
    ever: Vec<NewSession>,
    there: BTreeMap<SessionId, usize>,
    /// What the log must say. What one step ends, it may say in any order.
    revoked: Vec<SessionId>,
}

impl Model {
    fn add(&mut self, new: NewSession) {
        self.there.insert(new.session.id, self.ever.len());
        self.ever.push(new);
    }

    fn pick(&self, index: usize) -> Option<usize> {
        (!self.ever.is_empty()).then(|| index % self.ever.len())
    }

    fn is_there(&self, index: usize) -> bool {
        self.there.contains_key(&self.ever[index].session.id)
    }

    fn of(&self, subject: &Subject) -> Vec<SessionId> {
        let there = self.there.iter();
        let own = there.filter(|(_, index)| self.ever[**index].session.subject == *subject);
        own.map(|(id, _)| *id).collect()
    }

    fn end(&mut self, ids: &[SessionId]) {
        for id in ids {
            assert!(self.there.remove(id).is_some(), "ended what was not there");
        }
        self.revoked.extend(ids);
    }

    async fn apply(&mut self, store: &impl Store, step: Step) {
        match step {
            Step::SignIn { person } => self.sign_in(store, person, None).await,
            Step::SignInOver { person, session } => {
                let over = self.pick(session);
                self.sign_in(store, person, over).await;
            }
            Step::Guest => {
                let guest = guest_session(self.now);
                store.create_session(&guest).await.unwrap();
                self.add(guest);
            }
            Step::Touch { session } => self.touch(store, session).await,
            Step::End { session } => self.end_one(store, session).await,
            Step::Revoke { person, session } => self.revoke(store, person, session).await,
            Step::RevokeOthers { session } => self.revoke_others(store, session).await,
            Step::ChangePassword { session } => self.change_password(store, session).await,
            Step::Expire { at_most } => self.expire(store, at_most).await,
            Step::Pass { hours } => self.now += Duration::from_secs(hours * 3600 + 1),
        }
    }

    async fn sign_in(&mut self, store: &impl Store, person: usize, over: Option<usize>) {
        self.now += Duration::from_millis(1);
        let (account, hash) = &self.people[person];
        let mut new = user_session(&account.subject, self.now);
        new.replaces = over.map(|index| self.ever[index].secret_hash);
        let outcome = store.sign_in(&new, hash, None).await.unwrap();
        if over.is_some_and(|index| !self.is_there(index)) {
            assert_eq!(outcome, SignedIn::ReplacedGone);
            return;
        }
        let ended: Vec<_> = over
            .map(|index| self.ever[index].session.id)
            .into_iter()
            .collect();
        assert_eq!(
            outcome,
            SignedIn::Done {
                ended: ended.clone()
            }
        );
        self.end(&ended);
        self.add(new);
    }

    async fn touch(&mut self, store: &impl Store, session: usize) {
        let Some(index) = self.pick(session) else {
            return;
        };
        let known = &self.ever[index].session;
        let Some(touch) = known.touch(self.now, &SessionTtls::default()) else {
            return;
        };
        let touched = store.touch_session(&touch).await.unwrap();
        assert_eq!(touched, self.is_there(index));
        let session = &mut self.ever[index].session;
        *session = session.clone().touched(touch);
    }

    async fn end_one(&mut self, store: &impl Store, session: usize) {
        let Some(index) = self.pick(session) else {
            return;
        };
        let ended = store
            .end_session(&self.ever[index].secret_hash, self.now)
            .await
            .unwrap();
        assert_eq!(ended.is_some(), self.is_there(index));
        self.end(ended.as_slice());
    }

    async fn revoke(&mut self, store: &impl Store, person: usize, session: usize) {
        let Some(index) = self.pick(session) else {
            return;
        };
        let subject = &self.people[person].0.subject;
        let session = &self.ever[index].session;
        let expected =
            self.is_there(index) && session.subject == *subject && session.is_live(self.now);
        let id = session.id;
        let revoked = store.end_session_of(subject, id, self.now).await.unwrap();
        assert_eq!(revoked, expected);
        if revoked {
            self.end(&[id]);
        }
    }

    async fn revoke_others(&mut self, store: &impl Store, session: usize) {
        let Some(index) = self.pick(session) else {
            return;
        };
        let Session { id, subject, .. } = self.ever[index].session.clone();
        let ended = store
            .end_other_sessions(&subject, id, self.now)
            .await
            .unwrap();
        assert_eq!(ended.is_some(), self.is_there(index));
        self.end_all_but(&subject, id, ended);
    }

    fn end_all_but(&mut self, subject: &Subject, kept: SessionId, ended: Option<Vec<SessionId>>) {
        let Some(mut ended) = ended else { return };
        ended.sort();
        let mut expected = self.of(subject);
        expected.retain(|id| *id != kept);
        assert_eq!(ended, expected);
        self.end(&ended);
    }

    async fn change_password(&mut self, store: &impl Store, session: usize) {
        let Some(index) = self.pick(session) else {
            return;
        };
        let known = self.ever[index].clone();
        let subject = known.session.subject.clone();
        let person = self
            .people
            .iter()
            .position(|(account, _)| account.subject == subject);
        let Some(person) = person else { return };
        let new_hash = phc(&format!("at {}", self.now.as_millisecond()));
        let change = PasswordChange {
            subject: subject.clone(),
            verified: self.people[person].1.clone(),
            password_hash: new_hash.clone(),
            session: known.session.clone().reauthenticated(self.now),
            old_secret: known.secret_hash,
            new_secret: SessionSecret::generate(&OsEntropy).hash(),
        };
        match store.change_password(&change).await.unwrap() {
            PasswordChanged::Gone => assert!(!self.is_there(index)),
            PasswordChanged::Done { ended } => {
                assert!(self.is_there(index));
                self.people[person].1 = new_hash;
                self.end_all_but(&subject, known.session.id, Some(ended));
                assert_eq!(store.find_session(&known.secret_hash).await.unwrap(), None);
                self.ever[index].secret_hash = change.new_secret;
                self.ever[index].session = change.session;
            }
        }
    }

    async fn expire(&mut self, store: &impl Store, at_most: u32) {
        let ended = store.end_expired_sessions(self.now, at_most).await.unwrap();
        let there = self.there.values();
        let over = there
            .filter(|index| !self.ever[**index].session.is_live(self.now))
            .count();
        assert_eq!(ended.len(), over.min(at_most as usize));
        for id in &ended {
            assert!(
                !self.ever[self.there[id]].session.is_live(self.now),
                "ended a live one"
            );
        }
        let revoked = self.revoked.len();
        let outlived = |id: &SessionId| {
            let session = &self.ever[self.there[id]].session;
            let is_idle = session.expires_at < session.absolute_expires_at;
            is_idle && session.expires_at > self.now - ENTRY_LIFE
        };
        let outlived: Vec<_> = ended.iter().copied().filter(outlived).collect();
        self.end(&ended);
        self.revoked.splice(revoked.., outlived);
    }

    /// What the store says is what the model says, for every session there ever was.
    async fn compare(&self, store: &impl Store) {
        for (index, known) in self.ever.iter().enumerate() {
            let found = store.find_session(&known.secret_hash).await.unwrap();
            let expected = self.is_there(index).then_some(&known.session);
            assert_eq!(found.as_ref(), expected);
        }
        for (account, _) in &self.people {
            let mut expected = self.of(&account.subject);
            expected.retain(|id| self.ever[self.there[id]].session.is_live(self.now));
            expected.reverse();
            let list = store
                .list_sessions(&account.subject, self.now)
                .await
                .unwrap();
            let list: Vec<_> = list.into_iter().map(|session| session.id).collect();
            assert_eq!(list, expected);
        }
        let log = store.read_after(0, 1000).await.unwrap();
        let logged = log.into_iter().map(|entry| match entry.target {
            RevocationTarget::Session(id) => id,
            other => panic!("no step revokes {other:?}"),
        });
        let mut logged: Vec<_> = logged.collect();
        let mut revoked = self.revoked.clone();
        logged.sort();
        revoked.sort();
        assert_eq!(logged, revoked);
    }
}

async fn run(store: &impl Store, steps: Vec<Step>) {
    let mut model = Model {
        now: start(),
        people: vec![],
        ever: vec![],
        there: BTreeMap::new(),
        revoked: vec![],
    };
    for person in 0..PEOPLE {
        let (account, session) = registered(store, &format!("p{person}@example.com")).await;
        model.people.push((account, phc("first")));
        model.add(session);
    }
    for step in steps {
        model.apply(store, step).await;
        model.compare(store).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..Default::default() })]

    #[test]
    fn sqlite_agrees_with_the_model(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_directory, store) = sqlite().await;
            run(&store, steps).await;
            store.close().await;
        });
    }
}
