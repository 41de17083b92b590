//! The claims of an access token (RFC 9068), typed.
//!
//! Read only after the signature holds. A claim of the wrong JSON type is an error,
//! never "not present": that mistake has let tokens without a working `exp` pass
//! elsewhere (CVE-2026-25537).

use jiff::Timestamp;

use crate::json::{self, Json, JsonError, Members};
use crate::subject::{Subject, SubjectError};

/// How many parties may have passed a token on. Ours is two at most: the gateway for
/// the user, one service for another.
const MAX_ACTORS: usize = 4;

/// `jti`, `sid` and `client_id` end up in logs and as keys of maps.
const MAX_IDENTIFIER_BYTES: usize = 255;

/// Why signed claims are not those of an access token. The name is the claim's.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// The payload is not a JSON object with unique names.
    #[error("the payload is not a strict JSON object")]
    Json(#[from] JsonError),
    /// A required claim is absent.
    #[error("the claim {0} is missing")]
    Missing(&'static str),
    /// A claim has another JSON type than its definition says.
    #[error("the claim {0} has the wrong type")]
    WrongType(&'static str),
    /// A claim has the right type and an impossible value.
    #[error("the claim {0} has an impossible value")]
    Impossible(&'static str),
    /// A claim that should name a subject does not.
    #[error("the claim {claim} is no subject")]
    Subject {
        /// `sub`, `prior_sub` or `act`.
        claim: &'static str,
        /// What is wrong with it.
        source: SubjectError,
    },
}

/// Whoever acts for the subject (RFC 8693 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    subject: Subject,
    actor: Option<Box<Actor>>,
}

impl Actor {
    /// Who acts.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Who acted before, and handed the token on to this one.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.actor.as_deref()
    }
}

#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) issuer: String,
    pub(crate) audiences: Vec<String>,
    pub(crate) subject: Subject,
    pub(crate) client_id: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) expires_at: Timestamp,
    pub(crate) token_id: String,
    pub(crate) session_id: Option<String>,
    pub(crate) scope: String,
    pub(crate) auth_time: Option<Timestamp>,
    pub(crate) acr: Option<String>,
    pub(crate) amr: Vec<String>,
    pub(crate) prior_subject: Option<Subject>,
    pub(crate) actor: Option<Actor>,
}

impl Claims {
    pub(crate) fn read(payload: &[u8]) -> Result<Self, ClaimsError> {
        let mut claims = Reader(json::object(payload)?);
        Ok(Self {
            issuer: required("iss", claims.string("iss")?)?,
            audiences: required("aud", claims.audiences()?)?,
            subject: required("sub", claims.subject("sub")?)?,
            client_id: required("client_id", claims.identifier("client_id")?)?,
            issued_at: required("iat", claims.instant("iat")?)?,
            not_before: claims.instant("nbf")?,
            expires_at: required("exp", claims.instant("exp")?)?,
            token_id: required("jti", claims.identifier("jti")?)?,
            session_id: claims.identifier("sid")?,
            scope: claims.scope()?,
            auth_time: claims.instant("auth_time")?,
            acr: claims.string("acr")?,
            amr: claims.strings("amr")?.unwrap_or_default(),
            prior_subject: claims.subject("prior_sub")?,
            actor: claims.actor()?,
        })
    }
}

fn required<T>(claim: &'static str, value: Option<T>) -> Result<T, ClaimsError> {
    value.ok_or(ClaimsError::Missing(claim))
}

/// Takes claims out of the payload one by one. What nobody takes is ignored, as
/// RFC 7519 §4 asks.
struct Reader(Members);

impl Reader {
    fn string(&mut self, claim: &'static str) -> Result<Option<String>, ClaimsError> {
        match self.0.remove(claim) {
            None => Ok(None),
            Some(Json::String(value)) => Ok(Some(value)),
            Some(_) => Err(ClaimsError::WrongType(claim)),
        }
    }

    /// A string that is fit to be logged and looked up: visible ASCII, not empty.
    fn identifier(&mut self, claim: &'static str) -> Result<Option<String>, ClaimsError> {
        let Some(value) = self.string(claim)? else {
            return Ok(None);
        };
        let fit = !value.is_empty()
            && value.len() <= MAX_IDENTIFIER_BYTES
            && value.bytes().all(|byte| byte.is_ascii_graphic());
        if !fit {
            return Err(ClaimsError::Impossible(claim));
        }
        Ok(Some(value))
    }

    fn strings(&mut self, claim: &'static str) -> Result<Option<Vec<String>>, ClaimsError> {
        let items = match self.0.remove(claim) {
            None => return Ok(None),
            Some(Json::Array(items)) => items,
            Some(_) => return Err(ClaimsError::WrongType(claim)),
        };
        let strings = items.into_iter().map(|item| match item {
            Json::String(value) => Ok(value),
            _ => Err(ClaimsError::WrongType(claim)),
        });
        strings.collect::<Result<_, _>>().map(Some)
    }

    /// RFC 7519 §4.1.3: a string, or an array of strings.
    fn audiences(&mut self) -> Result<Option<Vec<String>>, ClaimsError> {
        if matches!(self.0.get("aud"), Some(Json::Array(_))) {
            return self.strings("aud");
        }
        Ok(self.string("aud")?.map(|audience| vec![audience]))
    }

    /// A NumericDate. RFC 7519 allows fractions; no issuer of ours writes any, and a
    /// number that two readers round differently is no expiry. Whole seconds, from
    /// 1970 to 9999.
    fn instant(&mut self, claim: &'static str) -> Result<Option<Timestamp>, ClaimsError> {
        match self.0.remove(claim) {
            None => Ok(None),
            Some(Json::Integer(second @ 0..)) => Timestamp::from_second(second)
                .map(Some)
                .map_err(|_| ClaimsError::Impossible(claim)),
            Some(Json::Integer(_)) => Err(ClaimsError::Impossible(claim)),
            Some(_) => Err(ClaimsError::WrongType(claim)),
        }
    }

    fn subject(&mut self, claim: &'static str) -> Result<Option<Subject>, ClaimsError> {
        self.string(claim)?
            .map(|text| Subject::parse(&text))
            .transpose()
            .map_err(|source| ClaimsError::Subject { claim, source })
    }

    /// RFC 6749 §3.3: names of visible characters but `"` and `\`, one space between.
    /// No claim and an empty one both mean no scope.
    fn scope(&mut self) -> Result<String, ClaimsError> {
        let scope = self.string("scope")?.unwrap_or_default();
        let name = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
        };
        if !scope.is_empty() && !scope.split(' ').all(name) {
            return Err(ClaimsError::Impossible("scope"));
        }
        Ok(scope)
    }

    fn actor(&mut self) -> Result<Option<Actor>, ClaimsError> {
        actor(self.0.remove("act"), MAX_ACTORS)
    }
}

/// `sub` and `act` of an `act` object. Its other members are the issuer's notes.
fn actor(act: Option<Json>, may_follow: usize) -> Result<Option<Actor>, ClaimsError> {
    let members = match act {
        None => return Ok(None),
        Some(Json::Object(members)) => members,
        Some(_) => return Err(ClaimsError::WrongType("act")),
    };
    if may_follow == 0 {
        return Err(ClaimsError::Impossible("act"));
    }
    let mut members = Reader(members);
    let subject = members
        .string("sub")
        .map_err(|_| ClaimsError::WrongType("act"))?;
    let subject =
        Subject::parse(&required("act", subject)?).map_err(|source| ClaimsError::Subject {
            claim: "act",
            source,
        })?;
    let actor = actor(members.0.remove("act"), may_follow - 1)?.map(Box::new);
    Ok(Some(Actor { subject, actor }))
}

#[cfg(test)]
mod tests;
