//! JSON-RPC 2.0: reading the agent's lines, and writing the client's.
//!
//! The envelope is read by its fields, and the payload by the type that the schema has for its method.

use agent_client_protocol_schema::{
    ClientNotification, ClientRequest, Error, JsonRpcMessage, Notification, Request, RequestId, Response,
};
use serde::Serialize;
use serde_json::Value;

/// Name of the notification by which either side gives up a request of its own.
pub(crate) const CANCEL_REQUEST: &str = "$/cancel_request";

/// Message of the agent.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum AgentMessage {
    Request { id: RequestId, method: String, params: Value },
    Notification { method: String, params: Value },
    Response { id: RequestId, result: Result<Value, Error> },
}

/// Maximum number of messages of one batch.
const MAX_BATCH: usize = 1024;

/// Reads the messages of a line. An item that is not a message is `None`, and so is a line that is not valid JSON.
pub(crate) fn read(line: &[u8]) -> Vec<Option<AgentMessage>> {
    match serde_json::from_slice(line) {
        Ok(Value::Array(batch)) if !batch.is_empty() && batch.len() <= MAX_BATCH => {
            batch.into_iter().map(message).collect()
        }
        Ok(value) => vec![message(value)],
        Err(_) => vec![None],
    }
}

fn message(value: Value) -> Option<AgentMessage> {
    let Value::Object(mut fields) = value else { return None };
    let id = fields.remove("id").map(serde_json::from_value::<RequestId>).transpose().ok()?;
    match fields.remove("method") {
        Some(Value::String(method)) => {
            let params = fields.remove("params").unwrap_or_default();
            Some(match id {
                Some(id) => AgentMessage::Request { id, method, params },
                None => AgentMessage::Notification { method, params },
            })
        }
        Some(_) => None,
        None => {
            let result = match (fields.remove("result"), fields.remove("error")) {
                (_, Some(error)) if !error.is_null() => Err(read_error(error)),
                (Some(result), _) => Ok(result),
                (None, _) => return None,
            };
            Some(AgentMessage::Response { id: id?, result })
        }
    }
}

/// Reads an error. An agent's error that does not match the schema is still an error.
fn read_error(error: Value) -> Error {
    let text = error.to_string();
    serde_json::from_value(error).unwrap_or_else(|_| Error::internal_error().data(Value::from(text)))
}

/// Returns the text of an error for the log: its message and its data.
pub(crate) fn error_text(error: &Error) -> String {
    let data = error.data.as_ref().map(|data| match data {
        Value::String(text) => format!(": {text}"),
        other => format!(": {other}"),
    });
    let code = i32::from(error.code);
    format!("{} ({code}){}", error.message, data.unwrap_or_default())
}

/// Writes a request.
pub(crate) fn request(id: i64, request: &ClientRequest) -> String {
    let (id, method) = (RequestId::Number(id), request.method().into());
    line(Request { id, method, params: Some(request) })
}

/// Writes a notification.
pub(crate) fn notification(notification: &ClientNotification) -> String {
    line(Notification { method: notification.method().into(), params: Some(notification) })
}

/// Writes a response.
pub(crate) fn response(id: &RequestId, result: Result<impl Serialize, Error>) -> String {
    line(Response::new(id.clone(), result))
}

fn line(message: impl Serialize) -> String {
    // The types of the schema have string keys, and none of their writers fails.
    serde_json::to_string(&JsonRpcMessage::wrap(message)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_client_protocol_schema::{CancelNotification, NewSessionRequest};

    fn one(line: &str) -> Option<AgentMessage> {
        let mut all = read(line.as_bytes());
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[test]
    fn messages_are_distinguished_by_their_fields() {
        let request = one(r#"{"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1}}"#);
        assert!(matches!(request, Some(AgentMessage::Request { id: RequestId::Str(_), .. })), "{request:?}");
        let notification = one(r#"{"jsonrpc":"2.0","method":"m"}"#);
        assert_eq!(
            notification,
            Some(AgentMessage::Notification { method: "m".to_owned(), params: Value::Null })
        );
        let response = one(r#"{"jsonrpc":"2.0","id":7,"result":null}"#);
        assert_eq!(
            response,
            Some(AgentMessage::Response { id: RequestId::Number(7), result: Ok(Value::Null) })
        );
        let Some(AgentMessage::Response { result: Err(error), .. }) =
            one(r#"{"id":7,"error":{"code":-32000,"message":"log in","data":{"x":1}}}"#)
        else {
            panic!("it is an error");
        };
        assert_eq!(error_text(&error), r#"log in (-32000): {"x":1}"#);
    }

    #[test]
    fn an_error_of_another_shape_is_still_an_error() {
        for error in [r#""no""#, "{}", r#"{"code":"x","message":1}"#, "[]"] {
            let read = one(&format!(r#"{{"id":1,"error":{error}}}"#));
            assert!(matches!(read, Some(AgentMessage::Response { result: Err(_), .. })), "{error}: {read:?}");
        }
    }

    #[test]
    fn lines_that_are_not_messages_are_nothing() {
        let deep = "[".repeat(100_000);
        for line in
            ["", "x", "[]", "7", "null", "{}", r#"{"id":1}"#, r#"{"id":[],"method":"m"}"#, &deep, "\"\u{0}"]
        {
            assert_eq!(read(line.as_bytes()), [None], "{line:.20}");
        }
        assert_eq!(read(b"{\"method\":\"\xff\"}"), [None]);
        assert_eq!(read(br#"[{"method":"a"},1,{"method":"b"}]"#).iter().flatten().count(), 2);
    }

    #[test]
    fn what_is_written_has_the_schemas_form() {
        let new = ClientRequest::NewSessionRequest(NewSessionRequest::new("/work"));
        assert_eq!(
            request(1, &new),
            r#"{"jsonrpc":"2.0","id":1,"method":"session/new","params":{"cwd":"/work","mcpServers":[]}}"#
        );
        let cancel = ClientNotification::CancelNotification(CancelNotification::new("s"));
        assert_eq!(
            notification(&cancel),
            r#"{"jsonrpc":"2.0","method":"session/cancel","params":{"sessionId":"s"}}"#
        );
        let refused = response(&RequestId::Str("q".to_owned()), Err::<(), _>(Error::method_not_found()));
        assert_eq!(
            refused,
            r#"{"jsonrpc":"2.0","id":"q","error":{"code":-32601,"message":"Method not found"}}"#
        );
    }
}
