//! Path, query and body together.

use super::*;

fn check(
    transcoding: &Transcoding,
    variables: &[&str],
    query: &str,
    body: &str,
    expected: serde_json::Value,
) {
    let variables: Vec<String> = variables.iter().map(|&text| text.to_owned()).collect();
    let bytes = transcoding.request(&variables, Some(query), body.as_bytes());
    let bytes = bytes.unwrap_or_else(|error| panic!("{query} {body}: {error}"));
    assert_eq!(echo(transcoding, bytes), expected, "{query} {body}");
}

fn check_refused(
    transcoding: &Transcoding,
    variables: &[&str],
    query: &str,
    body: &str,
    reason: &str,
    expected: &str,
) {
    let variables: Vec<String> = variables.iter().map(|&text| text.to_owned()).collect();
    let result = transcoding.request(&variables, Some(query), body.as_bytes());
    assert_eq!(
        result.as_ref().unwrap_err().reason(),
        reason,
        "{query} {body}"
    );
    assert_eq!(refusal(result), expected, "{query} {body}");
}

#[test]
fn path_variables_take_their_fields_types() {
    let get = transcoding("GetBook", "GET", "", &["shelf", "book_id"]);
    check(
        &get,
        &["a b/é", "-7"],
        "",
        "",
        json!({"shelf": "a b/é", "book_id": "-7"}),
    );
    check(&get, &["", "0"], "", "", json!({}));
    for text in ["x", "1.0", "+1", " 1", "", "0x1", "1e3", "01"] {
        check_refused(
            &get,
            &["s", text],
            "",
            "",
            "PATH_INVALID",
            "book_id: must be an integer",
        );
    }
    let large = "9223372036854775808";
    check_refused(
        &get,
        &["s", large],
        "",
        "",
        "PATH_INVALID",
        "book_id: is out of range",
    );
}

#[test]
fn query_parameters_reach_every_kind_of_field() {
    let list = transcoding("ListBooks", "GET", "", &[]);
    for (query, expected) in [
        ("", json!({})),
        (
            "page_size=5&order=ORDER_YEAR",
            json!({"page_size": 5, "order": "ORDER_YEAR"}),
        ),
        (
            "pageSize=5&order=1&",
            json!({"page_size": 5, "order": "ORDER_TITLE"}),
        ),
        (
            "tags=a&tags=b+c&tags=%26%3D",
            json!({"tags": ["a", "b c", "&="]}),
        ),
        (
            "tags=a&page_size=1&tags=b",
            json!({"tags": ["a", "b"], "page_size": 1}),
        ),
        (
            "filter.author.name=x&filter.years=1&filter.years=-2",
            json!({"filter": {"author": {"name": "x"}, "years": [1, -2]}}),
        ),
        (
            "filter.author.origin.country=de",
            json!({"filter": {"author": {"origin": {"country": "de"}}}}),
        ),
        ("lent=false", json!({"lent": false})),
        (
            "printed_after=2026-01-01T00:00:00Z",
            json!({"printed_after": "2026-01-01T00:00:00Z"}),
        ),
        (
            "printedAfter=2026-01-01T00%3A00%3A00%2B01%3A00",
            json!({"printed_after": "2025-12-31T23:00:00Z"}),
        ),
        ("cursor=-_8", json!({"cursor": "+/8="})),
        ("title=", json!({"title": ""})),
        ("title", json!({"title": ""})),
        (
            "by.name=x&by.origin.country=de",
            json!({"by": {"name": "x", "origin": {"country": "de"}}}),
        ),
        ("page%5fsize=1", json!({"page_size": 1})),
    ] {
        check(&list, &[], query, "", expected);
    }
}

#[test]
fn query_parameters_are_refused_when_they_are_not_fields() {
    let list = transcoding("ListBooks", "GET", "", &[]);
    for (query, expected) in [
        ("nothing=1", "nothing: is not a known parameter"),
        ("=1", ": is not a known parameter"),
        ("=", ": is not a known parameter"),
        ("Page_size=1", "Page_size: is not a known parameter"),
        (
            "filter.nothing=1",
            "filter.nothing: is not a known parameter",
        ),
        ("page_size.x=1", "page_size.x: is not a known parameter"),
        ("filter..years=1", "filter..years: is not a known parameter"),
        (".page_size=1", ".page_size: is not a known parameter"),
        (
            "printed_after.seconds=1",
            "printed_after.seconds: is not a known parameter",
        ),
        ("filter=x", "filter: cannot be set by the query"),
        ("authors=x", "authors: cannot be set by the query"),
        ("authors.name=x", "authors.name: is not a known parameter"),
        ("labels=x", "labels: cannot be set by the query"),
        ("labels.key=x", "labels.key: is not a known parameter"),
        ("labels[key]=x", "labels[key]: is not a known parameter"),
        (
            "page_size=1&page_size=1",
            "page_size: stands more than once",
        ),
        ("page_size=1&pageSize=2", "pageSize: stands more than once"),
        ("page_size=x", "page_size: must be an integer"),
        ("page_size=", "page_size: must be an integer"),
        ("page_size=2147483648", "page_size: is out of range"),
        ("filter.years=99999999999", "filter.years: is out of range"),
        ("order=year", "order: is not the name of a value"),
        (
            "order=1x",
            "order: must be the name or the number of a value",
        ),
        ("lent=1", "lent: must be a boolean"),
        ("lent=TRUE", "lent: must be a boolean"),
        ("title=a&isbn=b", "isbn: cannot be set together with title"),
        (
            "title=a&by.name=b",
            "by.name: cannot be set together with title",
        ),
        ("tags=%", "tags: is not valid text"),
        ("tags=%4", "tags: is not valid text"),
        ("tags=%zz", "tags: is not valid text"),
        ("tags=%ff", "tags: is not valid text"),
        ("%ff=1", "%ff: is not valid text"),
        (
            "x-http-method-override=DELETE",
            "x-http-method-override: is not a known parameter",
        ),
    ] {
        check_refused(&list, &[], query, "", "QUERY_INVALID", expected);
    }
}

#[test]
fn a_query_cannot_nest_without_end() {
    let list = transcoding("ListBooks", "GET", "", &[]);
    let path = |levels: usize| format!("filter{}.years=1", ".and".repeat(levels));
    assert!(list.request(&[], Some(&path(14)), b"").is_ok());
    let result = list.request(&[], Some(&path(15)), b"");
    assert!(refusal(result).ends_with("is not a known parameter"));
    let result = list.request(&[], Some(&path(2000)), b"");
    assert!(refusal(result).ends_with("is not a known parameter"));
}

#[test]
fn what_path_or_body_say_the_query_does_not() {
    let get = transcoding("GetBook", "GET", "", &["shelf", "book_id"]);
    check(
        &get,
        &["s", "1"],
        "with_text=true",
        "",
        json!({"shelf": "s", "book_id": "1", "with_text": true}),
    );
    let bound = "is set by the path or the body";
    for (query, field) in [
        ("shelf=x", "shelf"),
        ("book_id=1", "book_id"),
        ("bookId=1", "bookId"),
    ] {
        check_refused(
            &get,
            &["s", "1"],
            query,
            "",
            "QUERY_INVALID",
            &format!("{field}: {bound}"),
        );
    }
    let create = transcoding("CreateBook", "POST", "book", &["shelf"]);
    check(
        &create,
        &["s"],
        "validate_only=true",
        r#"{"title": "t"}"#,
        json!({"shelf": "s", "validate_only": true, "book": {"title": "t"}}),
    );
    check_refused(
        &create,
        &["s"],
        "book.title=x",
        "{}",
        "QUERY_INVALID",
        &format!("book.title: {bound}"),
    );
    let move_book = transcoding("MoveBook", "POST", "*", &["book_id"]);
    check_refused(
        &move_book,
        &["1"],
        "to_shelf=x",
        "{}",
        "QUERY_INVALID",
        &format!("to_shelf: {bound}"),
    );
}

#[test]
fn a_body_may_repeat_the_path_but_not_contradict_it() {
    let move_book = transcoding("MoveBook", "POST", "*", &["book_id"]);
    let expected = json!({"book_id": "7", "to_shelf": "x"});
    check(
        &move_book,
        &["7"],
        "",
        r#"{"to_shelf": "x"}"#,
        expected.clone(),
    );
    check(
        &move_book,
        &["7"],
        "",
        r#"{"to_shelf": "x", "book_id": 7}"#,
        expected,
    );
    check_refused(
        &move_book,
        &["7"],
        "",
        r#"{"book_id": 8}"#,
        "PATH_INVALID",
        "book_id: is not the same in the path and in the body",
    );
}

#[test]
fn bodies_stand_only_where_the_route_has_one() {
    let get = transcoding("GetBook", "GET", "", &["shelf", "book_id"]);
    for body in ["{}", "null", " ", "x"] {
        check_refused(
            &get,
            &["s", "1"],
            "",
            body,
            "BODY_NOT_ALLOWED",
            "this method takes no body",
        );
    }
    let create = transcoding("CreateBook", "POST", "book", &["shelf"]);
    check(&create, &["s"], "", "", json!({"shelf": "s"}));
    check(&create, &["s"], "", "null", json!({"shelf": "s"}));
    check(&create, &["s"], "", "{}", json!({"shelf": "s", "book": {}}));
    check_refused(
        &create,
        &["s"],
        "",
        "[]",
        "FIELD_INVALID",
        ": must be an object",
    );
    check_refused(
        &create,
        &["s"],
        "",
        r#"{"author": {"name": 1}}"#,
        "FIELD_INVALID",
        "author.name: must be a string",
    );
}

#[test]
fn a_body_can_be_a_list_a_map_or_a_scalar() {
    for (field, body, expected) in [
        ("tags", r#"["a", "b"]"#, json!({"tags": ["a", "b"]})),
        ("labels", r#"{"a": "b"}"#, json!({"labels": {"a": "b"}})),
        ("page_size", "7", json!({"page_size": 7})),
        (
            "authors",
            r#"[{"name": "x"}]"#,
            json!({"authors": [{"name": "x"}]}),
        ),
        ("lent", "true", json!({"lent": true})),
    ] {
        let list = transcoding("ListBooks", "POST", field, &[]);
        check(&list, &[], "title=t", body, {
            let mut expected = expected;
            expected["title"] = "t".into();
            expected
        });
    }
    let list = transcoding("ListBooks", "POST", "authors", &[]);
    check_refused(
        &list,
        &[],
        "",
        r#"[{"name": 1}]"#,
        "FIELD_INVALID",
        "[0].name: must be a string",
    );
}

#[test]
fn a_patch_fills_its_mask_from_the_bodys_members() {
    let patch = transcoding("UpdateBook", "PATCH", "book", &["book.id"]);
    for (body, mask) in [
        (r#"{"title": "t"}"#, "title"),
        (r#"{"title": null, "pages": 0}"#, "title,pages"),
        (r#"{"printedAt": "2026-01-01T00:00:00Z"}"#, "printedAt"),
        (r#"{"author": {"name": "n"}}"#, "author.name"),
        (
            r#"{"author": {"name": "n", "origin": {"country": "de"}}}"#,
            "author.name,author.origin.country",
        ),
        (r#"{"author": {"origin": {}}}"#, "author.origin"),
        (r#"{"author": {}}"#, "author"),
        (r#"{"author": null}"#, "author"),
        (r#"{"tags": ["a"], "notes": {"k": "v"}}"#, "tags,notes"),
        (r#"{}"#, ""),
        (r#"{"id": 7, "title": "t"}"#, "title"),
    ] {
        let bytes = patch
            .request(&["7".to_owned()], None, body.as_bytes())
            .unwrap();
        assert_eq!(echo(&patch, bytes)["update_mask"], mask, "{body}");
    }
}

#[test]
fn a_mask_in_the_query_is_kept_as_it_is() {
    let patch = transcoding("UpdateBook", "PATCH", "book", &["book.id"]);
    check(
        &patch,
        &["7"],
        "update_mask=title,printed_at",
        r#"{"title": "t", "pages": 1}"#,
        json!({"book": {"id": "7", "title": "t", "pages": 1}, "update_mask": "title,printedAt"}),
    );
    check(
        &patch,
        &["7"],
        "updateMask=",
        r#"{"title": "t"}"#,
        json!({"book": {"id": "7", "title": "t"}, "update_mask": ""}),
    );
    // Only PATCH of a resource means its members.
    let put = transcoding("UpdateBook", "PUT", "book", &["book.id"]);
    check(
        &put,
        &["7"],
        "",
        r#"{"title": "t"}"#,
        json!({"book": {"id": "7", "title": "t"}}),
    );
    let whole = transcoding("UpdateBook", "PATCH", "*", &["book.id"]);
    check(
        &whole,
        &["7"],
        "",
        r#"{"book": {"title": "t"}}"#,
        json!({"book": {"id": "7", "title": "t"}}),
    );
    // Without a body there is nothing to take a mask from.
    check(&patch, &["7"], "", "", json!({"book": {"id": "7"}}));
}

#[test]
fn the_profile_of_the_project_is_patched_by_members() {
    let pool = crate::descriptors::pool(proto::profile::v1::FILE_DESCRIPTOR_SET).unwrap();
    let service = pool
        .get_service_by_name("latchkey.profile.v1.ProfileService")
        .unwrap();
    let method = service
        .methods()
        .find(|method| method.name() == "UpdateProfile")
        .unwrap();
    let patch = Transcoding::new(
        &method,
        &Method::PATCH,
        "profile",
        "profile",
        std::iter::empty(),
    )
    .unwrap();
    let bytes = patch
        .request(&[], None, br#"{"theme": "dark", "displayName": "N"}"#)
        .unwrap();
    let request = proto::profile::v1::UpdateProfileRequest::decode(bytes).unwrap();
    assert_eq!(
        request.update_mask.unwrap().paths,
        ["theme", "display_name"]
    );
    assert_eq!(request.profile.unwrap().display_name, "N");
}
