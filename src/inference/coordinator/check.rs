//! Whether a request can be answered at all, before anything is sent.

use crate::inference::{Request, RequestError, Routing};
use crate::time::Duration;

/// Refuses what does not fit the model or the limits, as [`RequestError::BadInput`] that says what would.
pub(super) fn check(request: &Request, routing: &Routing, deadline_max: Duration) -> Result<(), RequestError> {
    limits(request, routing.parts.len(), deadline_max)
        .and_then(|()| tensor(request, routing.input_elements))
        .map_err(RequestError::BadInput)
}

fn limits(request: &Request, parts: usize, deadline_max: Duration) -> Result<(), String> {
    let Request { deadline, min_parts, .. } = *request;
    if deadline.is_zero() || deadline > deadline_max {
        return Err(format!(
            "the deadline is {deadline:?}; it has to be above zero and at most {} ms",
            deadline_max.as_millis()
        ));
    }
    if !(1..=parts).contains(&min_parts) {
        return Err(format!("min_parts is {min_parts}; it has to be 1 to {parts}, the model's number of parts"));
    }
    Ok(())
}

fn tensor(request: &Request, elements: usize) -> Result<(), String> {
    let bytes = request.input.len();
    if bytes != elements * size_of::<f32>() {
        return Err(format!(
            "the input has {bytes} bytes; the model takes {elements} floats of 4 bytes, {} in all",
            elements * size_of::<f32>()
        ));
    }
    let values = request.input.to_floats().map_err(|error| error.to_string())?;
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(format!("value {at} of the input is {}; every value has to be a finite number", values[at])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Blob;
    use crate::id::Digest;

    #[test]
    fn each_refusal_names_what_is_wrong_and_what_would_be_right() {
        let good = Request {
            input: Blob::from_floats(&[0.5, -1.0]),
            deadline: Duration::from_millis(20),
            min_parts: 2,
            mode: None,
        };
        let cases = [
            (Request { deadline: Duration::ZERO, ..good.clone() }, "at most 60000 ms"),
            (Request { deadline: Duration::from_secs(61), ..good.clone() }, "at most 60000 ms"),
            (Request { min_parts: 0, ..good.clone() }, "1 to 3"),
            (Request { min_parts: 4, ..good.clone() }, "1 to 3"),
            (Request { input: Blob::from_floats(&[0.5]), ..good }, "has 4 bytes; the model takes 2 floats"),
            (Request { input: Blob::default(), ..good }, "has 0 bytes"),
            (Request { input: Blob::from_floats(&[0.5, f32::NAN]), ..good }, "value 1 of the input is NaN"),
            (Request { input: Blob::from_floats(&[f32::INFINITY, 0.0]), ..good }, "value 0 of the input is inf"),
        ];
        let routing = Routing {
            bundle: Digest([0; 32]),
            epoch: None,
            input_elements: 2,
            bias: vec![0.0],
            parts: vec![Vec::new(); 3],
        };

        assert_eq!(check(&good, &routing, Duration::from_secs(60)), Ok(()));
        for (request, needle) in cases {
            let error = check(&request, &routing, Duration::from_secs(60)).unwrap_err().to_string();
            assert!(error.contains(needle), "{error:?} should contain {needle:?}");
        }
    }
}
