//! `grpc-timeout`: how long a client's call lasts.

use std::time::Duration;

use axum::http::HeaderMap;
use tonic::Status;

/// Up to eight digits, as gRPC bounds them.
const DIGITS_MAX: usize = 8;

/// From when the client sent the headers; `None` if it waits for ever.
///
/// # Errors
/// `INVALID_ARGUMENT` if the header is not as gRPC has it.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(header) = headers.get("grpc-timeout") else { return Ok(None) };
    let wrong = || Status::invalid_argument(format!("grpc-timeout is {header:?}; it is a number and a unit, as 500m"));
    header.to_str().ok().and_then(parse).map(Some).ok_or_else(wrong)
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > DIGITS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3_600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_nothing_else_is() {
        assert_eq!(parse("2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(parse("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parse("4S"), Some(Duration::from_secs(4)));
        assert_eq!(parse("500m"), Some(Duration::from_millis(500)));
        assert_eq!(parse("5u"), Some(Duration::from_micros(5)));
        assert_eq!(parse("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for wrong in ["", "S", "1", "-1S", "+1S", "1s", "1.5S", "100000000S", "1é", "é"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
