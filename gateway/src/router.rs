//! Which handler a path has, and the layers around all of them.

use axum::{
    Router,
    body::Body,
    extract::State,
    middleware::from_fn_with_state,
    response::{IntoResponse as _, Response},
};
use http::Request;

use crate::{
    api, auth,
    error::Error,
    gateway::Shared,
    metrics::RouteTemplate,
    middleware::{admission, limits, observe},
    pages,
};

/// The public listener's service.
pub(crate) fn router(gateway: Shared) -> Router {
    Router::new()
        .merge(auth::routes(&gateway))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed(None))
        .fallback(elsewhere)
        // The last one is the outermost.
        .layer(from_fn_with_state(gateway.clone(), admission::admit))
        .layer(from_fn_with_state(gateway.clone(), limits::limit))
        .layer(from_fn_with_state(gateway.clone(), observe::observe))
        .with_state(gateway)
}

/// Everything but `/auth/**`: the services, then the pages.
async fn elsewhere(state: State<Shared>, request: Request<Body>) -> Response {
    let path = request.uri().path();
    if path.starts_with("/api/") {
        return api::api(state, request).await;
    }
    if path == "/api" || path == "/auth" || path.starts_with("/auth/") {
        return Error::NotFound.into_response();
    }
    let template = RouteTemplate(pages::template(path).into());
    let (parts, _) = request.into_parts();
    let mut response = pages::serve(&parts);
    response.extensions_mut().insert(template);
    response
}
