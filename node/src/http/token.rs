//! A node whose HTTP interface others can reach wants a token. One without a token is for this machine alone, and takes nothing that a
//! browser sends for the page of another site.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::{Api, HttpError};

/// How a browser calls the place of the page that asks.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

pub(super) async fn demand(State(api): State<Api>, request: Request, next: Next) -> Result<Response, HttpError> {
    match &api.token {
        Some(token) => {
            let given =
                request.headers().get(header::AUTHORIZATION).and_then(|v| v.as_bytes().strip_prefix(b"Bearer "));
            if !given.is_some_and(|given| same(given, token.as_bytes())) {
                return Err(HttpError::Unauthorized);
            }
        }
        None => check_site(request.uri(), request.headers())?,
    }
    Ok(next.run(request).await)
}

/// Whether a request comes from a program here or from this node's own page.
fn check_site(uri: &Uri, headers: &HeaderMap) -> Result<(), HttpError> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = uri.authority().map(|authority| authority.as_str()).or(text(header::HOST));
    if let Some(host) = host.filter(|host| !is_here(host)) {
        return Err(HttpError::Forbidden(format!("this node has no token and is not asked as {host:?}")));
    }
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host);
    let is_other_site = text(FETCH_SITE).is_some_and(|site| matches!(site, "cross-site" | "same-site"));
    if is_other_site || text(header::ORIGIN).is_some_and(|origin| !is_own(origin)) {
        return Err(HttpError::Forbidden(
            "this node has no token and takes nothing from pages of other sites".to_owned(),
        ));
    }
    Ok(())
}

/// Whether an authority is an address or `localhost`: other names may lead anywhere, and to here tomorrow.
fn is_here(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
}

/// Compares in a time that tells nothing about where the two differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() {
        assert!(same(b"secret", b"secret"));
        assert!(!same(b"secret", b"secre"));
        assert!(!same(b"secret", b"secreT"));
    }

    fn asked(headers: &[(&'static str, &str)]) -> Result<(), String> {
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        check_site(&Uri::from_static("/v2"), &headers.collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn programs_here_and_the_own_page_may_ask_a_node_without_a_token() {
        for host in ["localhost:8470", "127.0.0.1:8470", "[::1]:8470", "10.1.2.3", "LOCALHOST"] {
            assert_eq!(asked(&[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(asked(&[]), Ok(()));
        let own = [("host", "127.0.0.1:8470"), ("origin", "http://127.0.0.1:8470"), ("sec-fetch-site", "same-origin")];
        assert_eq!(asked(&own), Ok(()));
    }

    #[test]
    fn pages_of_other_sites_and_names_that_lead_here_may_not() {
        let at_home = ("host", "127.0.0.1:8470");
        for foreign in [
            vec![("host", "evil.example:8470")],
            vec![("host", "localhost.evil.example")],
            vec![at_home, ("origin", "http://evil.example")],
            vec![at_home, ("origin", "http://127.0.0.1:9999")],
            vec![at_home, ("origin", "null")],
            vec![at_home, ("sec-fetch-site", "cross-site")],
            vec![at_home, ("sec-fetch-site", "same-site")],
        ] {
            assert!(asked(&foreign).unwrap_err().contains("--http-token-file"), "{foreign:?}");
        }
    }
}
