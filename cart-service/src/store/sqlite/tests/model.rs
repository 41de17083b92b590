//! A property test: whatever guests and users do, in whatever order, with requests
//! that are cut short and programs that are restarted, the store says what a model
//! in a few lines says, and no piece appears or goes missing.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{Opened, abandon, open};
use crate::{
    cart::{Cart, CartError, Change, Leftover, Line, Quantity, Sku},
    owner::Owner,
    store::{CartStore, ChangeError, Served, sqlite::SqliteCartStore, tests::at},
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

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody reads.
    Load(Owner),
    /// Somebody writes.
    Change(Owner, Change),
    /// Somebody's request is dropped at its so-manieth wake-up.
    Abandoned(Owner, Option<Change>, usize),
    /// The program stops and starts.
    Restart,
}

/// What the store should hold.
#[derive(Clone, Default, PartialEq, Debug)]
struct Model {
    carts: HashMap<String, Cart>,
    merged: HashMap<String, String>,
}

impl Model {
    fn cart_of(&self, subject: &str) -> Cart {
        self.carts.get(subject).cloned().unwrap_or_default()
    }

    fn merge(&mut self, owner: &Owner) -> Option<Leftover> {
        let guest = owner.guest()?.as_str();
        if self.merged.contains_key(guest) {
            return None;
        }
        let theirs = self.carts.remove(guest)?;
        let user = owner.subject().as_str().to_owned();
        self.merged.insert(guest.to_owned(), user.clone());
        let mut cart = self.cart_of(&user);
        let leftover = cart.merge(theirs);
        self.put(&user, cart);
        Some(leftover)
    }

    fn change(&mut self, owner: &Owner, change: Change) -> Result<Option<Leftover>, Refusal> {
        let subject = owner.subject().as_str();
        if self.merged.contains_key(subject) {
            return Err(Refusal::GuestMerged);
        }
        let mut after = self.clone();
        let merged = after.merge(owner);
        let mut cart = after.cart_of(subject);
        cart.apply(change).map_err(Refusal::Cart)?;
        after.put(subject, cart);
        *self = after;
        Ok(merged)
    }

    /// A cart exists from its first change on.
    fn put(&mut self, subject: &str, cart: Cart) {
        if self.cart_of(subject) != cart {
            self.carts.insert(subject.to_owned(), cart);
        }
    }
}

#[derive(PartialEq, Debug)]
enum Refusal {
    GuestMerged,
    Cart(CartError),
}

fn refusal(error: ChangeError) -> Refusal {
    match error {
        ChangeError::GuestMerged => Refusal::GuestMerged,
        ChangeError::Refused(error) => Refusal::Cart(error),
        ChangeError::Store(error) => panic!("the store is here: {error:?}"),
    }
}

fn owners() -> impl Strategy<Value = Owner> {
    let guest = (0..GUESTS.len()).prop_map(|guest| Owner::for_test(GUESTS[guest], None));
    let user = (
        0..USERS.len(),
        proptest::option::weighted(0.8, 0..GUESTS.len()),
    )
        .prop_map(|(user, guest)| Owner::for_test(USERS[user], guest.map(|guest| GUESTS[guest])));
    prop_oneof![guest, user].prop_map(|owner| owner.expect("users and guests own carts"))
}

fn skus() -> impl Strategy<Value = Sku> {
    // Few, so that lines meet; numbered as in `nearly_full`.
    (96..104).prop_map(|number| Sku::parse(&format!("p{number}")).expect("well spelt"))
}

fn lines() -> impl Strategy<Value = Line> {
    (skus(), prop_oneof![1..=3_i64, 40..=99_i64]).prop_map(|(sku, pieces)| Line {
        sku,
        quantity: Quantity::new(pieces).expect("1 to 99"),
    })
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => lines().prop_map(Change::Add),
        2 => lines().prop_map(Change::Update),
        2 => skus().prop_map(Change::Remove),
        1 => Just(Change::Clear),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => owners().prop_map(Step::Load),
        10 => (owners(), changes()).prop_map(|(owner, change)| Step::Change(owner, change)),
        3 => (owners(), proptest::option::of(changes()), 0..12_usize)
            .prop_map(|(owner, change, wake_ups)| Step::Abandoned(owner, change, wake_ups)),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Lines `p0` to `p98` of one piece: two more and the cart is over its limit.
fn nearly_full() -> Cart {
    let one = Quantity::new(1).expect("1 to 99");
    let skus = (0..99).map(|number| Sku::parse(&format!("p{number}")).expect("well spelt"));
    Cart::from_lines(skus.map(|sku| Line { sku, quantity: one })).expect("99 lines fit")
}

/// Puts a cart there in one transaction: a hundred calls would be slow.
async fn seed(store: &SqliteCartStore, model: &mut Model, subject: &str, cart: Cart) {
    let owner = Owner::for_test(subject, None).expect("an owner");
    let mut transaction = store.database.write().await.unwrap();
    let mut served = Served {
        cart: cart.clone(),
        ..Served::default()
    };
    super::super::save(
        &mut transaction,
        owner.subject(),
        &Cart::default(),
        &mut served,
        at(0),
    )
    .await
    .unwrap();
    transaction.commit().await.unwrap();
    model.put(subject, cart);
}

/// Everything in the store, read without merging.
async fn contents(store: &SqliteCartStore) -> Model {
    let mut model = Model::default();
    for subject in USERS.into_iter().chain(GUESTS) {
        let owner = Owner::for_test(subject, None).expect("an owner");
        let served = store.load(&owner, at(0)).await.unwrap();
        if served.updated_at.is_some() {
            model.carts.insert(subject.to_owned(), served.cart);
        }
    }
    let marks: Vec<(String, String)> =
        sqlx::query_as("SELECT guest_sub, user_sub FROM merged_guests")
            .fetch_all(store.database.readers())
            .await
            .unwrap();
    model.merged = marks.into_iter().collect();
    model
}

fn check_conserved(before: &Model, owner: &Owner, merged: Option<Leftover>, after: &Cart) {
    let guests = owner
        .guest()
        .map_or(0, |guest| before.cart_of(guest.as_str()).item_count());
    let users = before.cart_of(owner.subject().as_str()).item_count();
    match merged {
        Some(leftover) => assert_eq!(users + guests, after.item_count() + leftover.pieces),
        None => assert_eq!(users, after.item_count()),
    }
}

async fn run(step: Step, opened: &mut Opened, model: &mut Model) {
    let store = &opened.store;
    match step {
        Step::Load(owner) => {
            let served = store.load(&owner, at(1)).await.unwrap();
            check_conserved(model, &owner, served.merged, &served.cart);
            assert_eq!(served.merged, model.merge(&owner));
            assert_eq!(served.cart, model.cart_of(owner.subject().as_str()));
        }
        Step::Change(owner, change) => {
            let answer = store.change(&owner, change.clone(), at(2)).await;
            let answer = answer
                .map(|served| (served.merged, served.cart))
                .map_err(refusal);
            let expected = model.change(&owner, change);
            let cart = model.cart_of(owner.subject().as_str());
            assert_eq!(answer, expected.map(|merged| (merged, cart)));
        }
        Step::Abandoned(owner, change, wake_ups) => {
            let mut after = model.clone();
            match change {
                Some(change) => {
                    // A refusal leaves the model as it was, too.
                    after.change(&owner, change.clone()).ok();
                    abandon(store.change(&owner, change, at(3)), wake_ups).await;
                }
                None => {
                    after.merge(&owner);
                    abandon(store.load(&owner, at(3)), wake_ups).await;
                }
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
            opened.store = SqliteCartStore::open(&opened.path()).await.unwrap();
        }
    }
}

async fn play(steps: Vec<Step>, full_user: bool, full_guest: bool) {
    let mut opened = open().await;
    let mut model = Model::default();
    for (is_full, subject) in [(full_user, USERS[0]), (full_guest, GUESTS[0])] {
        if is_full {
            seed(&opened.store, &mut model, subject, nearly_full()).await;
        }
    }
    for step in steps {
        run(step, &mut opened, &mut model).await;
    }
    assert_eq!(contents(&opened.store).await, model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_store_does_what_the_model_does(
        steps in steps(),
        full_user in proptest::bool::weighted(0.3),
        full_guest in proptest::bool::weighted(0.2),
    ) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(play(steps, full_user, full_guest));
    }
}
