use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use http::Method;
use http_body_util::BodyExt;
use prost::Message;
use prost_reflect::DynamicMessage;
use tonic::Code;

use super::*;
use crate::{
    descriptors::testing as descriptors,
    routes::{Lookup, RouteTable},
    upstream::testing::{Answered, TestServer, headers, messages},
};

/// `library.v1.Book` from its JSON.
fn book(json: &str) -> Bytes {
    let book = descriptors::library_method("GetBook").output();
    let mut json = serde_json::Deserializer::from_str(json);
    DynamicMessage::deserialize(book, &mut json)
        .unwrap()
        .encode_to_vec()
        .into()
}

struct Library {
    table: RouteTable,
    _server: TestServer,
}

impl Library {
    async fn answering(answer: impl Fn(Bytes) -> Answered + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        let server = TestServer::start(move |_, request| {
            let answer = Arc::clone(&answer);
            async move {
                let question = request.into_inner().message().await?.unwrap();
                answer(question).await
            }
            .boxed()
        })
        .await;
        let upstream = Arc::new(server.upstream());
        let table = RouteTable::build([(upstream, descriptors::pool(descriptors::LIBRARY))]);
        Self {
            table: table.unwrap(),
            _server: server,
        }
    }

    /// The route of a target, and the target's query.
    fn find<'a>(&self, method: &Method, target: &'a str) -> (Found, Option<&'a str>) {
        let (path, query) = target.split_once('?').unzip();
        let Lookup::Found(found) = self.table.find(method, path.unwrap_or(target)) else {
            panic!("no route for {target}")
        };
        (found, query)
    }

    async fn call(
        &self,
        method: &Method,
        target: &str,
        body: &str,
    ) -> Result<Response<Body>, CallError> {
        let (found, query) = self.find(method, target);
        let token = UpstreamToken::for_tests("t");
        let problem = |error: CallError| match error {
            CallError::Status(status) => format!("{{\"code\":{}}}", status.code() as i32).into(),
            other => format!("\"{other}\"").into(),
        };
        let message = found.message(query, body.as_bytes()).unwrap();
        found
            .call(message, &token, &headers(), std::future::pending, problem)
            .await
    }

    async fn text(&self, method: &Method, target: &str, body: &str) -> String {
        let response = self.call(method, target, body).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }
}

#[tokio::test]
async fn a_call_is_json_on_one_side_and_bytes_on_the_other() {
    let library = Library::answering(|question| {
        let request = descriptors::library_method("GetBook").input();
        let request = DynamicMessage::decode(request, question).unwrap();
        let id = request
            .get_field_by_name("book_id")
            .unwrap()
            .as_i64()
            .unwrap();
        let answer = book(&format!("{{\"id\": \"{id}\", \"title\": \"T\"}}"));
        async move { messages(vec![Ok(answer)]) }.boxed()
    })
    .await;
    let json = library
        .text(&Method::GET, "/api/books/7?with_text=true", "")
        .await;
    assert_eq!(json, r#"{"id":"7","title":"T","tags":[],"notes":{}}"#);
}

#[tokio::test]
async fn none_of_the_services_headers_come_out() {
    let library = Library::answering(|_| {
        async {
            let mut answer = messages(vec![Ok(book("{}"))])?;
            answer
                .metadata_mut()
                .insert("set-cookie", "a=b".parse().unwrap());
            answer
                .metadata_mut()
                .insert("x-internal", "secret".parse().unwrap());
            Ok(answer)
        }
        .boxed()
    })
    .await;
    for (target, content_type) in [
        ("/api/books/7", "application/json"),
        ("/api/books:watch", "application/x-ndjson"),
    ] {
        let response = library.call(&Method::GET, target, "").await.unwrap();
        let headers: Vec<_> = response.headers().iter().collect();
        assert_eq!(
            headers,
            [(&CONTENT_TYPE, &HeaderValue::from_static(content_type))]
        );
    }
}

#[tokio::test]
async fn a_bad_request_is_no_message() {
    let library = Library::answering(|_| unreachable!("the service was called")).await;
    for (method, target, body) in [
        (Method::GET, "/api/books/seven", ""),
        (Method::GET, "/api/books/7?nothing=1", ""),
        (Method::GET, "/api/books/7", "{}"),
        (Method::POST, "/api/books/7:move", "{\"to_shelf\": 1}"),
    ] {
        let (found, query) = library.find(&method, target);
        assert!(found.message(query, body.as_bytes()).is_err(), "{target}");
    }
}

#[tokio::test]
async fn an_answer_of_another_type_is_a_response_error() {
    let library =
        Library::answering(|_| async { messages(vec![Ok("\u{ff}".into())]) }.boxed()).await;
    for target in ["/api/books/7", "/api/books:watch"] {
        let error = library.call(&Method::GET, target, "").await.unwrap_err();
        assert!(
            matches!(error, CallError::Response(_)),
            "{target}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_stream_is_a_line_a_message() {
    let library = Library::answering(|_| {
        async { messages(vec![Ok(book(r#"{"title": "a\nb"}"#)), Ok(book("{}"))]) }.boxed()
    })
    .await;
    let lines = library
        .text(&Method::GET, "/api/books:watch?title=x", "")
        .await;
    assert_eq!(
        lines,
        "{\"id\":\"0\",\"title\":\"a\\nb\",\"tags\":[],\"notes\":{}}\n\
         {\"id\":\"0\",\"title\":\"\",\"tags\":[],\"notes\":{}}\n"
    );
}

#[tokio::test]
async fn an_empty_stream_is_an_empty_body() {
    let library = Library::answering(|_| async { messages(vec![]) }.boxed()).await;
    assert_eq!(library.text(&Method::GET, "/api/books:watch", "").await, "");
}

#[tokio::test]
async fn a_stream_that_fails_at_once_has_a_status() {
    let library = Library::answering(|_| {
        async { messages(vec![Err(Status::not_found("no such book"))]) }.boxed()
    })
    .await;
    match library.call(&Method::GET, "/api/books:watch", "").await {
        Err(CallError::Status(status)) => assert_eq!(status.code(), Code::NotFound),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_that_fails_later_says_so_in_its_last_line() {
    for (end, expected) in [
        (
            Err(Status::aborted("secret words")),
            "{\"error\":{\"code\":10}}\n",
        ),
        (
            Ok("\u{ff}".into()),
            "{\"error\":\"the response cannot be transcoded\"}\n",
        ),
    ] {
        let library = Library::answering(move |_| {
            let answers = vec![Ok(book("{}")), end.clone(), Ok(book("{}"))];
            async { messages(answers) }.boxed()
        })
        .await;
        let text = library.text(&Method::GET, "/api/books:watch", "").await;
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[1], expected);
    }
}

#[tokio::test]
async fn lines_come_as_messages_do() {
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    let receive = std::sync::Mutex::new(Some(receive));
    let library = Library::answering(move |_| {
        let receive = receive.lock().unwrap().take().unwrap();
        let answers = tokio_stream::wrappers::UnboundedReceiverStream::new(receive).boxed();
        async { Ok(tonic::Response::new(answers)) }.boxed()
    })
    .await;
    send.send(Ok(book("{}"))).unwrap();
    let response = library
        .call(&Method::GET, "/api/books:watch", "")
        .await
        .unwrap();
    let mut lines = response.into_body().into_data_stream();
    assert!(lines.next().await.unwrap().unwrap().ends_with(b"\n"));
    // The service waits; the next line does not wait for a third message.
    send.send(Ok(book("{\"id\": 2}"))).unwrap();
    assert!(
        lines
            .next()
            .await
            .unwrap()
            .unwrap()
            .starts_with(b"{\"id\":\"2\"")
    );
    drop(lines);
    tokio::time::timeout(std::time::Duration::from_secs(30), send.closed())
        .await
        .unwrap();
}
