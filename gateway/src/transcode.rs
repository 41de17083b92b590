//! JSON to protobuf and back, by descriptors alone.
//!
//! The mapping is proto3's JSON mapping with the choices that people who call `/api`
//! rely on: proto field names on output (both spellings on input), defaults written,
//! 64-bit integers as strings. What is ambiguous is refused: unknown fields, members
//! that stand twice, fields that two parts of the request set, numbers that would be
//! rounded into range.

mod bind;
mod emit;
mod error;
mod json;
mod query;
mod scalar;
mod well_known;

use bytes::Bytes;
use http::Method;
use prost::Message;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};

pub(crate) use bind::BindingError;
pub(crate) use error::{ResponseError, TranscodeError, Violation};

use bind::FieldPath;

/// How one route's requests and responses map to one method's messages.
///
/// Nothing here is `Debug`: prost-reflect prints a message's fields with their messages,
/// and a recursive message without end, until the stack is gone.
pub(crate) struct Transcoding {
    input: MessageDescriptor,
    output: MessageDescriptor,
    body: RequestBody,
    response_body: Option<FieldDescriptor>,
    variables: Vec<FieldPath>,
    /// The mask to fill from the body's members.
    update_mask: Option<FieldDescriptor>,
}

/// What a request's body is.
enum RequestBody {
    /// There is none.
    None,
    /// Every field that the path does not bind.
    Whole,
    /// One field.
    Field(FieldDescriptor),
}

impl Transcoding {
    /// Checks a binding against the method's messages. `body`, `response_body` and
    /// `variables` are as the annotation and its path have them.
    pub(crate) fn new<'a>(
        method: &MethodDescriptor,
        http_method: &Method,
        body: &str,
        response_body: &str,
        variables: impl Iterator<Item = &'a str>,
    ) -> Result<Self, BindingError> {
        let (input, output) = (method.input(), method.output());
        let body = match body {
            "" => RequestBody::None,
            "*" => RequestBody::Whole,
            name => RequestBody::Field(bind::top_level(&input, name)?),
        };
        let response_body = match response_body {
            "" => None,
            name => Some(bind::top_level(&output, name)?),
        };
        let variables = bind::variables(&input, variables)?;
        let update_mask = update_mask(http_method, &input, &body);
        Ok(Self {
            input,
            output,
            body,
            response_body,
            variables,
            update_mask,
        })
    }

    /// Whether requests have a body.
    pub(crate) fn takes_body(&self) -> bool {
        !matches!(self.body, RequestBody::None)
    }

    /// The message that a request says. `variables` are the path's values in the order
    /// in which `new` was given them. An empty body is an empty message.
    pub(crate) fn request(
        &self,
        variables: &[String],
        query: Option<&str>,
        body: &[u8],
    ) -> Result<Bytes, TranscodeError> {
        let mut message = DynamicMessage::new(self.input.clone());
        let mask = self.read_body(&mut message, body)?;
        for (path, text) in self.variables.iter().zip(variables) {
            bind::set_variable(&mut message, path, text)?;
        }
        if let Some(query) = query {
            query::read(&mut message, query, |path| self.is_bound(path))?;
        }
        if let (Some(field), Some(paths)) = (&self.update_mask, mask)
            && !message.has_field(field)
        {
            self.fill_mask(&mut message, field, paths)?;
        }
        Ok(message.encode_to_vec().into())
    }

    /// The JSON of a response message.
    pub(crate) fn response(&self, message: Bytes) -> Result<Vec<u8>, ResponseError> {
        let size = message.len();
        let message = DynamicMessage::decode(self.output.clone(), message)?;
        let mut json = Vec::with_capacity(size.saturating_mul(2).max(128));
        match &self.response_body {
            None => emit::message(&mut json, &message)?,
            Some(field) => emit::field(&mut json, &message, field)?,
        }
        Ok(json)
    }

    /// Reads the body and says which fields of a resource it names, if a mask wants that.
    fn read_body(
        &self,
        message: &mut DynamicMessage,
        body: &[u8],
    ) -> Result<Option<Vec<String>>, TranscodeError> {
        match &self.body {
            _ if body.is_empty() => {}
            RequestBody::None => return Err(TranscodeError::BodyNotAllowed),
            RequestBody::Whole => json::read_message(body, message)?,
            RequestBody::Field(field) if self.update_mask.is_some() => {
                let (value, mask) = json::read_resource(body, field)?;
                set(message, field, value);
                return Ok(Some(mask));
            }
            RequestBody::Field(field) => set(message, field, json::read_field(body, field)?),
        }
        Ok(None)
    }

    /// What the path says of the resource is which one it is, and not a change to it.
    fn fill_mask(
        &self,
        message: &mut DynamicMessage,
        field: &FieldDescriptor,
        mut paths: Vec<String>,
    ) -> Result<(), TranscodeError> {
        let RequestBody::Field(resource) = &self.body else {
            return Ok(());
        };
        let in_path = |path: &str| {
            let path = format!("{}.{path}", resource.name());
            self.variables
                .iter()
                .any(|variable| variable.name() == path)
        };
        paths.retain(|path| !in_path(path));
        let mask = well_known::field_mask(field, paths)
            .map_err(|why| TranscodeError::Body(Violation::new(field.name(), why)))?;
        message.set_field(field, mask);
        Ok(())
    }

    /// Whether the path or the body says what this field is.
    fn is_bound(&self, path: &[FieldDescriptor]) -> bool {
        let by_body = match &self.body {
            RequestBody::None => false,
            RequestBody::Whole => true,
            RequestBody::Field(field) => path.first() == Some(field),
        };
        by_body
            || self
                .variables
                .iter()
                .any(|variable| variable.fields() == path)
    }
}

fn set(message: &mut DynamicMessage, field: &FieldDescriptor, value: Option<Value>) {
    if let Some(value) = value {
        message.set_field(field, value);
    }
}

/// PATCH of a resource in a request with a mask beside it (AIP-134): the mask is the
/// body's members unless the query says otherwise.
fn update_mask(
    method: &Method,
    input: &MessageDescriptor,
    body: &RequestBody,
) -> Option<FieldDescriptor> {
    let RequestBody::Field(resource) = body else {
        return None;
    };
    let is_resource = json::is_plain_message(resource);
    let mask = input.get_field_by_name("update_mask")?;
    let is_mask = !mask.is_list()
        && matches!(mask.kind(), Kind::Message(kind) if kind.full_name() == well_known::FIELD_MASK);
    (method == Method::PATCH && is_resource && is_mask).then_some(mask)
}

#[cfg(test)]
mod tests;
