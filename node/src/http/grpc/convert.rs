//! Between parameters as gRPC has them and as JSON has them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::http::oip::messages::{InferParameter, ParameterChoice};

/// As a JSON object.
pub(super) fn to_json(parameters: &BTreeMap<String, InferParameter>) -> Value {
    let value = |parameter: &InferParameter| match &parameter.parameter_choice {
        Some(ParameterChoice::Bool(value)) => json!(value),
        Some(ParameterChoice::Int64(value)) => json!(value),
        Some(ParameterChoice::String(value)) => json!(value),
        Some(ParameterChoice::Double(value)) => json!(value),
        Some(ParameterChoice::Uint64(value)) => json!(value),
        None => Value::Null,
    };
    parameters.iter().map(|(name, parameter)| (name.clone(), value(parameter))).collect::<Map<_, _>>().into()
}

/// Of a JSON object. gRPC has neither lists nor objects: these are their JSON, as text.
pub(super) fn from_json(parameters: &Value) -> BTreeMap<String, InferParameter> {
    let all = parameters.as_object().into_iter().flatten();
    all.filter_map(|(name, value)| Some((name.clone(), parameter(value)?))).collect()
}

fn parameter(value: &Value) -> Option<InferParameter> {
    let choice = match value {
        Value::Null => return None,
        Value::Bool(value) => ParameterChoice::Bool(*value),
        Value::String(text) => ParameterChoice::String(text.clone()),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => ParameterChoice::Int64(value),
            (None, Some(value)) => ParameterChoice::Uint64(value),
            (None, None) => ParameterChoice::Double(number.as_f64()?),
        },
        Value::Array(_) | Value::Object(_) => ParameterChoice::String(value.to_string()),
    };
    Some(InferParameter { parameter_choice: Some(choice) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grpc_can_say_comes_back_as_it_was() {
        let said = json!({ "a": true, "b": -3, "c": u64::MAX, "d": 0.5, "e": "text" });
        assert_eq!(to_json(&from_json(&said)), said);
        assert_eq!(to_json(&from_json(&json!({ "parts": [0, 2], "none": null }))), json!({ "parts": "[0,2]" }));
    }
}
