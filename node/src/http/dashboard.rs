//! The dashboard at `/`: a page that follows `/api/events` in the browser. All of it is in the program; nothing is fetched from
//! elsewhere, and the browser is told to fetch nothing.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::{Api, HttpError};

/// Scripts and styles of this node alone, connections to this node alone, no frames around it. Images are those that a user chose.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Path, media type, content.
const FILES: [(&str, &str, &str); 10] = [
    ("/", HTML, include_str!("dashboard/index.html")),
    ("/dashboard/style.css", CSS, include_str!("dashboard/style.css")),
    ("/dashboard/icon.svg", SVG, include_str!("dashboard/icon.svg")),
    ("/dashboard/main.js", JS, include_str!("dashboard/main.js")),
    ("/dashboard/feed.js", JS, include_str!("dashboard/feed.js")),
    ("/dashboard/mesh.js", JS, include_str!("dashboard/mesh.js")),
    ("/dashboard/islands.js", JS, include_str!("dashboard/islands.js")),
    ("/dashboard/timeline.js", JS, include_str!("dashboard/timeline.js")),
    ("/dashboard/requests.js", JS, include_str!("dashboard/requests.js")),
    ("/dashboard/tryit.js", JS, include_str!("dashboard/tryit.js")),
];
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The page and what belongs to it.
pub(super) fn routes() -> Router<Api> {
    FILES.iter().fold(Router::new(), |router, &(path, media_type, content)| {
        router.route(path, get(move || async move { file(media_type, content) }))
    })
}

fn file(media_type: &'static str, content: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Another version of the program may be behind the same address tomorrow.
        (header::CACHE_CONTROL, "no-cache"),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, content).into_response()
}

/// `GET /api/model`: what an image must be, and what its answer means.
pub(super) async fn model(State(api): State<Api>) -> Result<Json<Value>, HttpError> {
    let manifest = api.node.serving().await?;
    Ok(Json(manifest.map_or(Value::Null, |manifest| {
        json!({
            "name": manifest.name,
            "version": manifest.version,
            "input": manifest.input.name,
            "shape": manifest.input.shape,
            "labels": manifest.labels,
        })
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_page_is_inline_or_from_elsewhere() {
        for (path, _, content) in FILES {
            let is_foreign = |line: &str| line.contains("://") && !line.contains("http://www.w3.org/");
            assert_eq!(content.lines().find(|line| is_foreign(line)), None, "{path}");
        }
        let page = FILES[0].2;
        for inline in ["<style", "style=", "onclick", "<script>", "javascript:"] {
            assert!(!page.contains(inline), "{inline}");
        }
    }

    #[test]
    fn every_module_that_is_imported_is_served() {
        for (path, _, content) in FILES {
            let imports = content.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next());
            for module in imports {
                let served = format!("/dashboard/{module}");
                assert!(FILES.iter().any(|(other, ..)| *other == served), "{path} imports {module}");
            }
        }
    }
}
