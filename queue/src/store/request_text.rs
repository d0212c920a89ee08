//! Requests of operators and their results, as texts in a store.

use crate::id::EntryId;
use crate::output::{OperatorRequest, RequestRefused};

/// Names of the results of requests, as they are stored.
const RESULTS: [(&str, Result<(), RequestRefused>); 4] = [
    ("done", Ok(())),
    ("unknown", Err(RequestRefused::Unknown)),
    ("out", Err(RequestRefused::Out)),
    ("not_leading", Err(RequestRefused::NotLeading)),
];

pub(crate) fn result_name(result: Result<(), RequestRefused>) -> &'static str {
    RESULTS.iter().find(|(_, known)| *known == result).map_or("unsupported", |(name, _)| name)
}

/// Reads a result; `None` for one of a newer program, or for a request that the gateway does not know.
pub(crate) fn parse_result(name: &str) -> Option<Result<(), RequestRefused>> {
    RESULTS.iter().find(|(known, _)| *known == name).map(|(_, result)| *result)
}

/// Writes a request as it is stored: `retry 17`.
pub(crate) fn request_text(request: OperatorRequest) -> String {
    match request {
        OperatorRequest::Retry(entry) => format!("retry {entry}"),
        OperatorRequest::Drop(entry) => format!("drop {entry}"),
    }
}

pub(crate) fn parse_request(text: &str) -> Option<OperatorRequest> {
    let (name, entry) = text.split_once(' ')?;
    let entry = EntryId(entry.parse().ok()?);
    match name {
        "retry" => Some(OperatorRequest::Retry(entry)),
        "drop" => Some(OperatorRequest::Drop(entry)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_results_are_read_as_they_are_written() {
        for request in [OperatorRequest::Retry(EntryId(7)), OperatorRequest::Drop(EntryId(0))] {
            assert_eq!(parse_request(&request_text(request)), Some(request));
        }
        for text in ["", "retry", "retry x", "pause 7", "retry 7 8"] {
            assert_eq!(parse_request(text), None, "{text}");
        }
        for (_, result) in RESULTS {
            assert_eq!(parse_result(result_name(result)), Some(result));
        }
        assert_eq!(parse_result("unsupported"), None);
    }
}
