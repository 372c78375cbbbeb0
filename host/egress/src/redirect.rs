//! Following a redirect: always a new request with every check of a first one.

use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, StatusCode};

use bytes::Bytes;

use crate::error::EgressError;
use crate::target::{Scheme, Target};

/// One request of a chain.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    pub(crate) target: Target,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The request that a response sends the caller to; `None` when it is the final one.
pub(crate) fn next(hop: &Hop, status: StatusCode, headers: &HeaderMap) -> Result<Option<Hop>, EgressError> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = headers.get(LOCATION) else { return Ok(None) };
    let refuse = |reason| EgressError::Redirect { target: hop.target.to_string(), reason };
    let location = location.to_str().map_err(|_| refuse("its location is not text"))?;
    let target =
        Target::parse(&absolute(&hop.target, location)).map_err(|_| refuse("its location is no usable URL"))?;
    if hop.target.scheme == Scheme::Https && target.scheme == Scheme::Http {
        return Err(refuse("it leads from `https` to `http`"));
    }
    let mut next = Hop { target, ..hop.clone() };
    // What clients do for 301 and 302, and RFC 9110 (15.4.4) says for 303: the body is not sent a second time.
    let again = matches!(status.as_u16(), 307 | 308) || matches!(hop.method, Method::GET | Method::HEAD);
    if !again {
        next.method = Method::GET;
        next.body = Bytes::new();
        for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
            next.headers.remove(name);
        }
    }
    Ok(Some(next))
}

/// Resolves a reference against the URL it came from (RFC 3986, 5.2), leaving dot segments to the server.
fn absolute(base: &Target, reference: &str) -> String {
    let reference = reference.split('#').next().unwrap_or_default();
    let scheme = if base.scheme == Scheme::Https { "https" } else { "http" };
    let has_scheme = reference.split_once(':').is_some_and(|(before, _)| !before.contains(['/', '?']));
    let (authority, path) = (base.authority(), base.path.path());
    if has_scheme {
        reference.to_owned()
    } else if reference.starts_with("//") {
        format!("{scheme}:{reference}")
    } else if reference.starts_with('/') {
        format!("{scheme}://{authority}{reference}")
    } else if reference.is_empty() || reference.starts_with('?') {
        format!("{scheme}://{authority}{path}{reference}")
    } else {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{reference}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop() -> Hop {
        Hop {
            target: Target::parse("https://a.example/x/y?q").unwrap(),
            method: Method::POST,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, "text/plain".parse().unwrap())]),
            body: Bytes::from_static(b"body"),
        }
    }

    fn to(status: u16, location: &str) -> Result<Option<Hop>, EgressError> {
        let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
        next(&hop(), StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn references_of_every_kind() {
        for (location, want) in [
            ("https://b.example:8443/z", "b.example:8443/z"),
            ("//b.example/z", "b.example:443/z"),
            ("/z?r=1#f", "a.example:443/z?r=1"),
            ("z", "a.example:443/x/z"),
            ("?r", "a.example:443/x/y?r"),
            ("z:1", "refused"),
        ] {
            let got = to(307, location).map(|hop| hop.map(|hop| format!("{}{}", hop.target, hop.target.path)));
            assert_eq!(got.unwrap_or(Some("refused".to_owned())).unwrap(), want, "{location}");
        }
    }

    #[test]
    fn methods_and_downgrades() {
        assert_eq!(to(302, "/z").unwrap().unwrap().method, Method::GET);
        assert!(to(303, "/z").unwrap().unwrap().body.is_empty());
        assert!(to(301, "/z").unwrap().unwrap().headers.is_empty());
        assert_eq!(to(308, "/z").unwrap().unwrap().body, "body");
        assert!(to(200, "/z").unwrap().is_none());
        assert!(matches!(to(302, "http://a.example/"), Err(EgressError::Redirect { .. })));
    }
}
