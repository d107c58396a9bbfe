//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

use super::HarnessError;

/// Between two looks. Short against everything that is awaited, long against what a look costs.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks again and again until `look` gives a value; its error says what is still seen instead.
///
/// # Errors
/// [`HarnessError::Timeout`] with what was seen last.
pub fn wait_until<T>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T, HarnessError> {
    let start = Instant::now();
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(seen) if start.elapsed() >= timeout => {
                let seconds = start.elapsed().as_secs_f64();
                return Err(HarnessError::Timeout { what: what.to_owned(), seconds, seen });
            }
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}
