use std::{sync::Arc, time::Duration};

use http::Method;
use tonic::transport::Channel;

use super::*;
use crate::{
    descriptors::testing,
    upstream::{Access, Upstream},
};

pub(crate) fn upstream(name: &str) -> Arc<Upstream> {
    Arc::new(Upstream {
        name: name.to_owned(),
        audience: name.to_owned(),
        access: Access::Anyone,
        channel: Channel::from_static("http://127.0.0.1:1").connect_lazy(),
        timeout: Duration::from_secs(5),
        stream_timeout: Duration::from_secs(5),
        max_response_bytes: 1 << 20,
    })
}

fn library() -> RouteTable {
    RouteTable::build([(upstream("library"), testing::pool(testing::LIBRARY))]).unwrap()
}

/// A service whose methods have these annotations.
fn service(bindings: &[&str]) -> String {
    use std::fmt::Write;
    let mut source = String::from(
        "syntax = \"proto3\"; package t.v1; import \"google/api/annotations.proto\";
         message Sub { string s = 1; Sub sub = 2; }
         message M { string a = 1; string b = 2; Sub sub = 3; repeated string list = 4;
                     map<string, string> map = 5; bytes c = 6; }
         service S {",
    );
    for (index, binding) in bindings.iter().enumerate() {
        write!(
            source,
            "rpc R{index}(M) returns (M) {{ option (google.api.http) = {{{binding}}}; }}"
        )
        .unwrap();
    }
    source + "}"
}

fn build(bindings: &[&str]) -> Result<RouteTable, RouteProblems> {
    RouteTable::build([(upstream("t"), testing::pool(&service(bindings)))])
}

/// `template | values` of a found route, or what else the table says.
fn look_up(table: &RouteTable, method: &str, path: &str) -> String {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    match table.find(&method, path) {
        Lookup::Found(found) => {
            let mut line = found.template().to_owned();
            for value in &found.variables {
                line.push_str(" | ");
                line.push_str(value);
            }
            line
        }
        Lookup::MethodNotAllowed(allow) => {
            format!("allow {}", allow.header_value().to_str().unwrap())
        }
        Lookup::NotFound => "not found".to_owned(),
        Lookup::BadPath(bad) => format!("bad: {bad}"),
    }
}

#[tokio::test]
async fn finds_routes_and_their_variables() {
    let table = library();
    assert_eq!(table.len(), 9);
    for (method, path, expected) in [
        ("GET", "/api/books/7", "/api/books/{book_id} | 7"),
        ("HEAD", "/api/books/7", "/api/books/{book_id} | 7"),
        (
            "GET",
            "/api/shelves/a/books/7",
            "/api/shelves/{shelf}/books/{book_id} | a | 7",
        ),
        (
            "GET",
            "/api/shelves/a%20b%C3%A9/books/7",
            "/api/shelves/{shelf}/books/{book_id} | a bé | 7",
        ),
        (
            "GET",
            "/api/shelves/%2541/books/7",
            "/api/shelves/{shelf}/books/{book_id} | %41 | 7",
        ),
        ("GET", "/api/books", "/api/books"),
        ("SEARCH", "/api/books", "/api/books"),
        ("GET", "/api/books:watch", "/api/books:watch"),
        ("GET", "/api/books%3Awatch", "not found"),
        ("POST", "/api/books/7:move", "/api/books/{book_id}:move | 7"),
        // Without a verb of that name, the colon is part of the value.
        (
            "GET",
            "/api/books/7:other",
            "/api/books/{book_id} | 7:other",
        ),
        ("GET", "/api/books/7:move", "/api/books/{book_id} | 7:move"),
        ("GET", "/api/books/:move", "/api/books/{book_id} | :move"),
        (
            "GET",
            "/api/files/a/b/c.txt",
            "/api/files/{name=**} | a/b/c.txt",
        ),
        ("GET", "/api/files", "/api/files/{name=**} | "),
        ("PATCH", "/api/books/7", "/api/books/{book.id} | 7"),
        ("DELETE", "/api/books/7", "allow GET, HEAD, PATCH"),
        ("POST", "/api/books", "allow GET, HEAD, SEARCH"),
        ("get", "/api/books", "allow GET, HEAD, SEARCH"),
        ("GET", "/api/books/7/", "not found"),
        ("GET", "/api/files/", "not found"),
        ("GET", "/api", "not found"),
        ("GET", "/", "not found"),
        ("GET", "/API/books", "not found"),
        ("GET", "/library.v1.Library/Purge", "not found"),
        ("POST", "/grpc.health.v1.Health/Check", "not found"),
    ] {
        assert_eq!(look_up(&table, method, path), expected, "{method} {path}");
    }
}

#[tokio::test]
async fn refuses_paths_that_have_two_readings() {
    let table = library();
    for path in [
        "",
        "api/books",
        "http://evil/api/books",
        "*",
        "//api/books",
        "/api//books",
        "/api/books/../files/x",
        "/api/./books",
        "/api/books/..",
        "/api/books/.",
        "/api/%2e%2e/books",
        "/api/%2E./books",
        "/api/books/%2f",
        "/api/books/a%2Fb",
        "/api/files/a%2Fb",
        "/api/books/a%5cb",
        "/api/books/a\\b",
        "/api/books;a=b",
        "/api/books/7;v=1",
        "/api/books/%00",
        "/api/books/a%00b",
        "/api/books/%0d%0a",
        "/api/books/%7f",
        "/api/books/%",
        "/api/books/%4",
        "/api/books/%zz",
        "/api/%62ooks",
        "/api/books/a b",
        "/api/books/a#b",
        "/api/books/é",
        "/api/books/\u{0}",
    ] {
        assert_eq!(
            look_up(&table, "GET", path),
            "bad: the path is not in normal form",
            "{path}"
        );
    }
    for path in [
        "/api/books/%ff",
        "/api/books/%C3%28",
        "/api/books/%ED%A0%80",
        "/api/books/%C0%AF",
    ] {
        assert_eq!(
            look_up(&table, "GET", path),
            "bad: the path is not UTF-8",
            "{path}"
        );
    }
    let deep = format!("/api/files{}", "/a".repeat(63));
    assert_eq!(
        look_up(&table, "GET", &deep),
        "bad: the path has more than 64 segments"
    );
}

#[tokio::test]
async fn prefers_the_more_specific_route_and_turns_back_where_it_ends() {
    let table = build(&[
        r#"get: "/api/{a}/{b}""#,
        r#"get: "/api/x/{b}""#,
        r#"get: "/api/x/y""#,
        r#"get: "/api/{a=**}""#,
        r#"post: "/api/x/z" body: "*""#,
        r#"get: "/api/x/{a}/deep/{b}""#,
        r#"get: "/api/{a}:go""#,
    ])
    .unwrap();
    for (method, path, expected) in [
        ("GET", "/api/x/y", "/api/x/y"),
        ("GET", "/api/x/w", "/api/x/{b} | w"),
        ("GET", "/api/x/z", "/api/x/{b} | z"),
        ("POST", "/api/x/z", "/api/x/z"),
        ("GET", "/api/w/y", "/api/{a}/{b} | w | y"),
        ("GET", "/api/x/y/deep/q", "/api/x/{a}/deep/{b} | y | q"),
        ("GET", "/api/x/y/deep", "/api/{a=**} | x/y/deep"),
        ("GET", "/api/one", "/api/{a=**} | one"),
        ("GET", "/api/one:go", "/api/{a}:go | one"),
        ("PUT", "/api/x/z", "allow GET, HEAD, POST"),
    ] {
        assert_eq!(look_up(&table, method, path), expected, "{method} {path}");
    }
}

#[tokio::test]
async fn multi_segment_variables_take_their_literals_along() {
    let table = build(&[r#"get: "/api/{a=shelves/*/books/*}/{b=**}:look""#]).unwrap();
    assert_eq!(
        look_up(&table, "GET", "/api/shelves/1/books/2/x/y:look"),
        "/api/{a=shelves/*/books/*}/{b=**}:look | shelves/1/books/2 | x/y"
    );
    assert_eq!(
        look_up(&table, "GET", "/api/shelves/1/books/2/x/y"),
        "not found"
    );
    assert_eq!(
        look_up(&table, "GET", "/api/shelves/1/cooks/2/x:look"),
        "not found"
    );
}

fn check_refused(bindings: &[&str], expected: &str) {
    let problems = build(bindings).expect_err(expected).to_string();
    assert!(
        problems.contains(expected),
        "{bindings:?}:\n{problems}\nwants: {expected}"
    );
}

#[tokio::test]
async fn refuses_annotations_that_cannot_be_served() {
    for (binding, expected) in [
        (r#"get: "/admin""#, "`/admin` that is not below `/api/`"),
        (r#"get: "/apis/x""#, "not below `/api/`"),
        (r#"get: "/api""#, "not below `/api/`"),
        (r#"get: "/{a=api}/x/../y""#, "an empty or a dot segment"),
        (r#"get: "/{a}/x""#, "not below `/api/`"),
        (r#"get: "/**""#, "not below `/api/`"),
        (r#"get: "api/x""#, "does not begin with `/`"),
        (r#"get: """#, "does not begin with `/`"),
        (r#"get: "/api/x/""#, "an empty or a dot segment"),
        (r#"get: "/api//x""#, "an empty or a dot segment"),
        (
            r#"get: "/api/%41""#,
            "a character that a literal may not have",
        ),
        (
            r#"get: "/api/a;b""#,
            "a character that a literal may not have",
        ),
        (
            r#"get: "/api/a?b=c""#,
            "a character that a literal may not have",
        ),
        (r#"get: "/api/x{a}""#, "a `{` or `}` without the other"),
        (r#"get: "/api/{a""#, "a `{` or `}` without the other"),
        (r#"get: "/api/a}""#, "a `{` or `}` without the other"),
        (r#"get: "/api/{a={b}}""#, "a `{` or `}` without the other"),
        (r#"get: "/api/{}""#, "a variable that is not a field path"),
        (
            r#"get: "/api/{a..b}""#,
            "a variable that is not a field path",
        ),
        (
            r#"get: "/api/{a=**}/x""#,
            "a `**` that is not the last segment",
        ),
        (r#"get: "/api/x:""#, "a verb that is not a word"),
        (r#"get: "/api/{nothing}""#, "t.v1.M has no field `nothing`"),
        (
            r#"get: "/api/{sub.nothing}""#,
            "t.v1.M has no field `sub.nothing`",
        ),
        (r#"get: "/api/{a.b}""#, "t.v1.M has no field `a.b`"),
        (
            r#"get: "/api/{sub}""#,
            "the field `sub` of t.v1.M cannot stand in a path",
        ),
        (
            r#"get: "/api/{list}""#,
            "the field `list` of t.v1.M cannot stand in a path",
        ),
        (
            r#"get: "/api/{map}""#,
            "the field `map` of t.v1.M cannot stand in a path",
        ),
        (r#"get: "/api/{a}/{a}""#, "two variables set the field `a`"),
        (r#"get: "/api/x" body: "*""#, "has a body for GET"),
        (
            r#"post: "/api/x" body: "nothing""#,
            "t.v1.M has no field `nothing`",
        ),
        (
            r#"post: "/api/x" body: "sub.s""#,
            "t.v1.M has no field `sub.s`",
        ),
        (
            r#"get: "/api/x" response_body: "nothing""#,
            "t.v1.M has no field `nothing`",
        ),
        (
            r#"custom: {kind: "*" path: "/api/x"}"#,
            "a custom HTTP method `*`",
        ),
        (
            r#"custom: {kind: "TRACE" path: "/api/x"}"#,
            "a custom HTTP method `TRACE`",
        ),
        (
            r#"custom: {kind: "HEAD" path: "/api/x"}"#,
            "a custom HTTP method `HEAD`",
        ),
        (
            r#"custom: {kind: "" path: "/api/x"}"#,
            "a custom HTTP method ``",
        ),
        (r#"body: "*""#, "an HTTP annotation without a path"),
        (
            r#"get: "/api/x" additional_bindings {get: "/api/y" additional_bindings {get: "/api/z"}}"#,
            "an additional binding within another",
        ),
    ] {
        check_refused(&[binding], expected);
    }
}

#[tokio::test]
async fn lists_every_problem_at_once() {
    let problems = build(&[
        r#"get: "/x""#,
        r#"get: "/api/{nothing}""#,
        r#"get: "/api/ok""#,
    ])
    .unwrap_err()
    .to_string();
    assert_eq!(problems.lines().count(), 2, "{problems}");
    assert!(
        problems.lines().all(|line| line.starts_with("t: t.v1.S.R")),
        "{problems}"
    );
}

#[tokio::test]
async fn refuses_routes_that_match_the_same_paths() {
    for pair in [
        [r#"get: "/api/x/{a}""#, r#"get: "/api/x/{b}""#],
        [r#"get: "/api/x""#, r#"get: "/api/x""#],
        [r#"get: "/api/{a}/y""#, r#"get: "/api/x/{b}""#],
        [r#"get: "/api/{a=x/*}/z""#, r#"get: "/api/x/y/{b}""#],
        [r#"get: "/api/{a}/y/{b=**}""#, r#"get: "/api/x/{b=**}""#],
        [r#"get: "/api/x/{a}:go""#, r#"get: "/api/x/{b}:go""#],
        [
            r#"get: "/api/x""#,
            r#"custom: {kind: "GET" path: "/api/x"}"#,
        ],
    ] {
        check_refused(&pair, "match the same paths");
    }
    for pair in [
        [r#"get: "/api/x/{a}""#, r#"delete: "/api/x/{a}""#],
        [r#"get: "/api/x/{a}""#, r#"get: "/api/x/{a}:go""#],
        [r#"get: "/api/x/{a}""#, r#"get: "/api/x/y""#],
        [r#"get: "/api/x""#, r#"get: "/api/x/{a=**}""#],
        [r#"get: "/api/x/{a}""#, r#"get: "/api/y/{a}""#],
    ] {
        build(&pair).unwrap();
    }
}

#[tokio::test]
async fn two_services_with_the_same_route_are_named_both() {
    let pool = testing::pool(testing::LIBRARY);
    let problems = RouteTable::build([(upstream("one"), pool.clone()), (upstream("two"), pool)])
        .unwrap_err()
        .to_string();
    assert_eq!(problems.lines().count(), 9, "{problems}");
    let expected = "GET `/api/books` of library.v1.Library/ListBooks (one) and `/api/books` of \
                    library.v1.Library/ListBooks (two) match the same paths";
    assert!(problems.contains(expected), "{problems}");
}

#[tokio::test]
async fn refuses_client_streams_with_an_annotation() {
    let source = r#"syntax = "proto3"; package t.v1; import "google/api/annotations.proto";
        message M {}
        service S {
          rpc Up(stream M) returns (M) { option (google.api.http) = {post: "/api/up" body: "*"}; }
          rpc Quiet(stream M) returns (M);
        }"#;
    let problems = RouteTable::build([(upstream("t"), testing::pool(source))]).unwrap_err();
    let problems = problems.to_string();
    assert!(problems.starts_with("t: t.v1.S.Up has an HTTP annotation but takes a stream"));
    assert_eq!(problems.lines().count(), 1, "{problems}");
}

#[tokio::test]
async fn a_found_route_says_what_front_needs() {
    let table = library();
    let Lookup::Found(found) = table.find(&Method::GET, "/api/books:watch") else {
        panic!()
    };
    assert_eq!(found.rpc(), "/library.v1.Library/WatchBooks");
    assert_eq!(found.upstream().name, "library");
    assert!(found.route.streaming && !found.takes_body());
    let Lookup::Found(found) = table.find(&Method::PATCH, "/api/books/7") else {
        panic!()
    };
    assert!(!found.route.streaming && found.takes_body());
}

#[tokio::test]
async fn the_shop_of_the_project_has_the_routes_of_its_design() {
    let pool = |set: &[u8]| crate::descriptors::pool(set).unwrap();
    let table = RouteTable::build([
        (upstream("cart"), pool(proto::cart::v1::FILE_DESCRIPTOR_SET)),
        (
            upstream("profile"),
            pool(proto::profile::v1::FILE_DESCRIPTOR_SET),
        ),
    ])
    .unwrap();
    for (method, path, expected) in [
        ("GET", "/api/products", "/api/products"),
        ("GET", "/api/cart", "/api/cart"),
        ("DELETE", "/api/cart", "/api/cart"),
        ("POST", "/api/cart/items", "/api/cart/items"),
        (
            "PATCH",
            "/api/cart/items/tea",
            "/api/cart/items/{sku} | tea",
        ),
        (
            "DELETE",
            "/api/cart/items/tea",
            "/api/cart/items/{sku} | tea",
        ),
        ("GET", "/api/profile", "/api/profile"),
        ("PATCH", "/api/profile", "/api/profile"),
        ("POST", "/api/profile", "allow GET, HEAD, PATCH"),
    ] {
        assert_eq!(look_up(&table, method, path), expected, "{method} {path}");
    }
}
