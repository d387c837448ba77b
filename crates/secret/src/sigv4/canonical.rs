//! The canonical request: the one text that both sides sign.

use http::HeaderMap;

use super::{Message, SigV4Refusal, parse::Authorization};
use crate::{decide::excerpt, fold::percent_text, form::percent};

/// Services whose paths are signed as they are sent; all others sign them encoded once more.
const PATHS_AS_SENT: &[&str] = &["s3", "s3-outposts", "s3-object-lambda", "s3express"];

/// The canonical request of a message.
pub(super) fn canonical(
    message: Message<'_>,
    stated: &Authorization,
    payload: &str,
) -> Result<String, SigV4Refusal> {
    let (path, query) = message.target.split_once('?').unwrap_or((message.target, ""));
    if !path.starts_with('/') || path.bytes().any(|b| b <= b' ' || b >= 0x7f) {
        return Err(SigV4Refusal::Target);
    }
    let path = match PATHS_AS_SENT.contains(&stated.scope.service.as_str()) {
        true => path.to_owned(),
        false => encoded_again(path),
    };
    let headers =
        stated.headers.iter().map(|name| Ok(format!("{name}:{}\n", values(message.headers, name)?)));
    let headers: String = headers.collect::<Result<_, SigV4Refusal>>()?;
    let names = stated.headers.join(";");
    Ok(format!("{}\n{path}\n{}\n{headers}\n{names}\n{payload}", message.method, parameters(query)))
}

/// Dot segments and empty ones resolved, then each segment encoded a second time.
fn encoded_again(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            part => segments.push(part),
        }
    }
    let tail = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    let written: Vec<String> = segments.iter().map(|s| text(percent(s.as_bytes(), b"%20"))).collect();
    format!("/{}{tail}", written.join("/"))
}

/// Parameters encoded in the one way, in order.
fn parameters(query: &str) -> String {
    let encode = |written: &str| text(percent(&percent_text(written.as_bytes()), b"%20"));
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encode(name), encode(value))
        })
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The values of a header, with runs of spaces as one.
fn values(headers: &HeaderMap, name: &str) -> Result<String, SigV4Refusal> {
    let values: Vec<String> = headers
        .get_all(name)
        .iter()
        .map(|value| {
            let words = String::from_utf8_lossy(value.as_bytes()).into_owned();
            words.split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect();
    if values.is_empty() {
        return Err(SigV4Refusal::Missing { missing: excerpt(name) });
    }
    Ok(values.join(","))
}

fn text(ascii: Vec<u8>) -> String {
    String::from_utf8(ascii).unwrap_or_default()
}
