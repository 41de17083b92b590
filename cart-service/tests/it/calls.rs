//! What each call does, and for whom.

use chassis::status::{reason_of, retry_delay_of};
use proto::cart::v1::{
    AddItemRequest, Cart, ClearCartRequest, GetCartRequest, ListProductsRequest, RemoveItemRequest,
    UpdateItemRequest,
};
use tonic::{Code, Status};

use crate::harness::{ALICE, ANONYMOUS, BOB, Client, GUEST, Program, WORKLOAD, with};

/// A client that speaks for one token.
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) token: String,
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

    pub(crate) async fn get(&mut self) -> Result<Cart, Status> {
        let answer = self
            .client
            .get_cart(with(&self.token, GetCartRequest {}))
            .await?;
        Ok(answer.into_inner().cart.expect("an answer has a cart"))
    }

    pub(crate) async fn add(&mut self, sku: &str, quantity: i32) -> Result<Cart, Status> {
        let request = AddItemRequest {
            sku: sku.into(),
            quantity,
        };
        let answer = self.client.add_item(with(&self.token, request)).await?;
        Ok(answer.into_inner().cart.expect("an answer has a cart"))
    }

    pub(crate) async fn update(&mut self, sku: &str, quantity: i32) -> Result<Cart, Status> {
        let request = UpdateItemRequest {
            sku: sku.into(),
            quantity,
        };
        let answer = self.client.update_item(with(&self.token, request)).await?;
        Ok(answer.into_inner().cart.expect("an answer has a cart"))
    }

    pub(crate) async fn remove(&mut self, sku: &str) -> Result<Cart, Status> {
        let request = RemoveItemRequest { sku: sku.into() };
        let answer = self.client.remove_item(with(&self.token, request)).await?;
        Ok(answer.into_inner().cart.expect("an answer has a cart"))
    }

    pub(crate) async fn clear(&mut self) -> Result<Cart, Status> {
        let answer = self
            .client
            .clear_cart(with(&self.token, ClearCartRequest {}))
            .await?;
        Ok(answer.into_inner().cart.expect("an answer has a cart"))
    }
}

pub(crate) fn lines(cart: &Cart) -> Vec<(&str, i32)> {
    cart.lines
        .iter()
        .map(|line| (line.sku.as_str(), line.quantity))
        .collect()
}

#[track_caller]
pub(crate) fn check(answer: Result<Cart, Status>, code: Code, reason: &str) {
    let refused = answer.expect_err("a refusal");
    assert_eq!(
        (refused.code(), reason_of(&refused).as_deref()),
        (code, Some(reason))
    );
}

#[tokio::test]
async fn anybody_may_read_the_products() {
    let program = Program::start().await;
    let mut client = program.client().await;
    for subject in [ANONYMOUS, GUEST, ALICE, WORKLOAD] {
        let request = with(&program.token(subject), ListProductsRequest {});
        let products = client
            .list_products(request)
            .await
            .unwrap()
            .into_inner()
            .products;
        assert_eq!(products.len(), 12);
        assert_eq!(
            (products[0].sku.as_str(), products[0].unit_price_minor),
            ("brass-key", 450)
        );
        assert!(products.iter().all(|product| product.currency == "EUR"));
    }
    assert_eq!(program.rows().await, 0);
}

#[tokio::test]
async fn a_cart_is_filled_changed_and_emptied() {
    let program = Program::start().await;
    for subject in [ALICE, GUEST] {
        let mut caller = Caller::new(&program, subject).await;
        let empty = Cart {
            currency: "EUR".into(),
            ..Cart::default()
        };
        assert_eq!(caller.get().await.unwrap(), empty);

        caller.add("rim-latch", 2).await.unwrap();
        caller.add("brass-key", 1).await.unwrap();
        let cart = caller.add("rim-latch", 1).await.unwrap();
        assert_eq!(lines(&cart), [("rim-latch", 3), ("brass-key", 1)]);
        assert_eq!(cart.lines[0].name, "Rim latch");
        assert_eq!(
            (
                cart.lines[0].unit_price_minor,
                cart.lines[0].line_total_minor
            ),
            (3450, 10350)
        );
        assert_eq!((cart.total_minor, cart.item_count), (10_800, 4));
        let updated_at = cart.updated_at.unwrap();
        assert_eq!(
            (updated_at.seconds, updated_at.nanos),
            (program.now().as_second(), 0)
        );

        let cart = caller.update("rim-latch", 1).await.unwrap();
        assert_eq!(lines(&cart), [("rim-latch", 1), ("brass-key", 1)]);
        let cart = caller.remove("rim-latch").await.unwrap();
        assert_eq!(lines(&cart), [("brass-key", 1)]);
        assert_eq!(caller.get().await.unwrap(), cart);
        let cart = caller.clear().await.unwrap();
        assert_eq!(
            (cart.lines.len(), cart.total_minor, cart.item_count),
            (0, 0, 0)
        );
        caller.clear().await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_done_has_a_reason() {
    let program = Program::start().await;
    let mut alice = Caller::new(&program, ALICE).await;
    alice.add("brass-key", 99).await.unwrap();
    check(
        alice.add("brass-key", 1).await,
        Code::FailedPrecondition,
        "QUANTITY_LIMIT",
    );
    check(
        alice.update("key-ring", 1).await,
        Code::NotFound,
        "LINE_NOT_FOUND",
    );
    check(
        alice.remove("key-ring").await,
        Code::NotFound,
        "LINE_NOT_FOUND",
    );
    assert_eq!(lines(&alice.get().await.unwrap()), [("brass-key", 99)]);
}

#[tokio::test]
async fn carts_of_two_people_never_meet() {
    let program = Program::start().await;
    let (mut alice, mut bob) = (
        Caller::new(&program, ALICE).await,
        Caller::new(&program, BOB).await,
    );
    alice.add("brass-key", 1).await.unwrap();
    bob.add("lock-oil", 2).await.unwrap();
    check(
        bob.remove("brass-key").await,
        Code::NotFound,
        "LINE_NOT_FOUND",
    );
    bob.clear().await.unwrap();
    assert_eq!(lines(&alice.get().await.unwrap()), [("brass-key", 1)]);
}

#[tokio::test]
async fn who_cannot_have_a_cart_reads_an_empty_one_and_may_not_write() {
    let program = Program::start().await;
    for token in [program.token(ANONYMOUS), program.token(WORKLOAD)] {
        let mut nobody = Caller {
            client: program.client().await,
            token,
        };
        assert_eq!(nobody.get().await.unwrap().lines.len(), 0);
        for answer in [
            nobody.add("brass-key", 1).await,
            nobody.add("nonsense", 0).await,
            nobody.update("brass-key", 1).await,
            nobody.remove("brass-key").await,
            nobody.clear().await,
        ] {
            check(answer, Code::PermissionDenied, "SESSION_REQUIRED");
        }
    }
    assert_eq!(program.rows().await, 0);
}

#[tokio::test]
async fn identity_comes_from_the_token_alone() {
    let program = Program::start().await;
    Caller::new(&program, BOB)
        .await
        .add("lock-oil", 2)
        .await
        .unwrap();
    let mut client = program.client().await;
    let mut request = with(&program.token(ALICE), GetCartRequest {});
    for name in [
        "x-user-id",
        "x-user-sub",
        "x-subject",
        "x-forwarded-user",
        "sub",
        "user",
    ] {
        request.metadata_mut().insert(name, BOB.parse().unwrap());
    }
    let cart = client
        .get_cart(request)
        .await
        .unwrap()
        .into_inner()
        .cart
        .unwrap();
    assert_eq!(lines(&cart), []);
}

#[tokio::test]
async fn a_product_that_is_no_longer_sold_stays_until_it_is_removed() {
    let program = Program::start().await;
    let mut alice = Caller::new(&program, ALICE).await;
    alice.add("brass-key", 1).await.unwrap();
    program
        .tamper(&format!(
            "INSERT INTO cart_lines VALUES ('{ALICE}', 'tin-lantern', 2, 7)"
        ))
        .await;

    let cart = alice.get().await.unwrap();
    assert_eq!(lines(&cart), [("brass-key", 1), ("tin-lantern", 2)]);
    assert_eq!(cart.total_minor, 450 + 2 * 2_200);
    let refused = alice.add("tin-lantern", 1).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    alice.update("tin-lantern", 1).await.unwrap();
    let cart = alice.remove("tin-lantern").await.unwrap();
    assert_eq!(lines(&cart), [("brass-key", 1)]);
}

#[tokio::test]
async fn a_product_that_this_release_does_not_know_is_kept_and_not_shown() {
    let program = Program::start().await;
    let mut alice = Caller::new(&program, ALICE).await;
    alice.add("brass-key", 1).await.unwrap();
    program
        .tamper(&format!(
            "INSERT INTO cart_lines VALUES ('{ALICE}', 'jet-pack', 2, 7)"
        ))
        .await;

    let cart = alice.add("brass-key", 1).await.unwrap();
    assert_eq!(
        (lines(&cart), cart.total_minor),
        (vec![("brass-key", 2)], 900)
    );
    assert_eq!(program.rows().await, 3, "a cart with two lines");
    alice.remove("jet-pack").await.unwrap();
    assert_eq!(program.rows().await, 2);
}

#[tokio::test]
async fn a_store_that_is_away_is_unavailable_and_reading_goes_on() {
    let program = Program::start().await;
    let mut alice = Caller::new(&program, ALICE).await;
    alice.add("brass-key", 1).await.unwrap();
    let beside = chassis::sqlite::open(&program.database()).await.unwrap();
    let lock = beside.write().await.unwrap();

    let refused = alice.add("brass-key", 1).await.unwrap_err();
    assert_eq!(reason_of(&refused).as_deref(), Some("STORE_UNAVAILABLE"));
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(retry_delay_of(&refused).is_some());
    assert_eq!(lines(&alice.get().await.unwrap()), [("brass-key", 1)]);

    lock.rollback().await.unwrap();
    assert_eq!(
        lines(&alice.add("brass-key", 1).await.unwrap()),
        [("brass-key", 2)]
    );
}
