//! `GET /openapi.json`: what this interface takes and gives, for programs.

use axum::http::header;
use axum::response::IntoResponse;

const DESCRIPTION: &str = include_str!("openapi.json");

pub(super) async fn description() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn description() -> Value {
        serde_json::from_str(DESCRIPTION).unwrap()
    }

    #[test]
    fn it_is_of_this_version() {
        assert_eq!(description()["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn it_has_every_address_of_the_open_inference_protocol() {
        let told: Vec<String> = description()["paths"].as_object().unwrap().keys().cloned().collect();
        let source = include_str!("mod.rs");
        let whole = |route: &str| told.iter().any(|path| path == route);
        let routes = source.split("route(\"").skip(1).filter_map(|rest| rest.split('"').next());
        for route in routes.filter(|route| route.starts_with("/v2")) {
            assert!(whole(route), "{route}");
        }
        for tail in ["", "/ready", "/config", "/stats", "/infer"] {
            for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
                assert!(whole(&format!("{model}{tail}")), "{model}{tail}");
            }
        }
    }

    #[test]
    fn every_reference_in_it_leads_somewhere() {
        fn check(value: &Value, whole: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                        let place = reference.strip_prefix('#').unwrap();
                        assert!(whole.pointer(place).is_some(), "{reference}");
                    }
                    fields.values().for_each(|value| check(value, whole));
                }
                Value::Array(items) => items.iter().for_each(|value| check(value, whole)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let whole = description();
        check(&whole, &whole);
    }
}
