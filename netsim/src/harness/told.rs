//! What a node tells at `/api/events`: server-sent events, read from a body that need not end.

use std::io::{BufRead, Error, ErrorKind};

use serde_json::Value;

/// One event of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Its name: `status`, `requests`, `happened`, `missed`.
    pub event: String,
    /// Its data.
    pub data: Value,
    /// Its number, for whoever comes back.
    pub id: Option<String>,
}

/// All events up to the first of that name, itself included.
///
/// # Errors
/// If the stream breaks or ends before, or if data are not JSON.
pub(super) fn until(wanted: &str, body: impl BufRead) -> Result<Vec<Told>, Error> {
    let mut all: Vec<Told> = Vec::new();
    let (mut event, mut data, mut id) = (String::new(), String::new(), None);
    for line in body.lines() {
        let line = line?;
        if line.is_empty() {
            if !data.is_empty() {
                let value = serde_json::from_str(&data).map_err(|e| Error::new(ErrorKind::InvalidData, e))?;
                let name = std::mem::take(&mut event);
                let is_last = name == wanted;
                all.push(Told { event: name, data: value, id: id.take() });
                if is_last {
                    return Ok(all);
                }
            }
            (event, data, id) = (String::new(), String::new(), None);
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event),
            "data" => data += value,
            "id" => id = Some(value.to_owned()),
            // Comments keep a connection open; the time to wait before coming back is the caller's business.
            _ => {}
        }
    }
    Err(Error::new(ErrorKind::UnexpectedEof, format!("the stream ended before `{wanted}`")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STREAM: &str = "retry: 1000\nevent: status\ndata: {\"name\":\"a\"}\n\n: still here\n\n\
                          id: 7\nevent: happened\ndata: {\"event\":\n retry: 1\ndata: \"left\"}\n\n\
                          event:requests\ndata:{}\n\nevent: status\ndata: {}\n\n";

    #[test]
    fn events_are_read_up_to_the_one_that_is_waited_for() {
        let told = until("requests", STREAM.as_bytes()).unwrap();
        let names: Vec<&str> = told.iter().map(|told| told.event.as_str()).collect();
        assert_eq!(names, ["status", "happened", "requests"]);
        assert_eq!((&told[1].data, told[1].id.as_deref()), (&json!({ "event": "left" }), Some("7")));
        assert_eq!(told[2].id, None);
    }

    #[test]
    fn a_stream_that_ends_too_early_or_is_no_json_is_an_error() {
        let error = until("missed", STREAM.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(until("a", "event: a\ndata: {\n\n".as_bytes()).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
