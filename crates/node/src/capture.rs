//! What the ledger keeps of arguments and results, by the operator's policy.

use std::borrow::Cow;

use cella_contract::Capture;
use cella_event::Key;
use cella_ledger::Payload;
use cella_mcp::{Array, Object, Raw, raw_json};
use serde_json::value::RawValue;

/// What stands in the place of a redacted value.
const REDACTED: &str = "\"[redacted]\"";

/// Deepest nesting that is searched for members to redact; what lies deeper is redacted as a whole.
const DEPTH_MAX: usize = 32;

/// A payload under the policy. `None`, with a line in the log, only when the operating system gives no randomness.
pub(crate) fn payload<'a>(policy: &Capture, name: &'static str, text: &'a str) -> Option<Payload<'a>> {
    let key = Key::new(name)?;
    let made = match policy {
        Capture::Full => Payload::full(key, text.as_bytes()),
        Capture::Digest => Payload::digest_only(key, text.as_bytes()),
        Capture::Redact(names) => match redacted(text, names) {
            Some(text) => Payload::redacted(key, text.into_bytes()),
            None => Payload::full(key, text.as_bytes()),
        },
    };
    made.inspect_err(|error| tracing::error!(%error, "a payload is not on record")).ok()
}

/// The text without the values of members of these names; `None` when it has none of them.
fn redacted(text: &str, names: &[String]) -> Option<String> {
    let raw = raw_json(text).ok()?;
    match redact(&raw, names, 0) {
        Cow::Borrowed(_) => None,
        Cow::Owned(changed) => Some(changed.get().to_owned()),
    }
}

fn redact<'a>(raw: &'a RawValue, names: &[String], depth: usize) -> Cow<'a, RawValue> {
    let nothing = || raw_json(REDACTED).map_or(Cow::Borrowed(raw), Cow::Owned);
    match raw.get().as_bytes().first() {
        Some(b'{') if depth < DEPTH_MAX => object(raw, names, depth),
        Some(b'[') if depth < DEPTH_MAX => array(raw, names, depth),
        Some(b'{' | b'[') => nothing(),
        _ => Cow::Borrowed(raw),
    }
}

fn object<'a>(raw: &'a RawValue, names: &[String], depth: usize) -> Cow<'a, RawValue> {
    let Some(view) = Object::parse(raw) else { return Cow::Borrowed(raw) };
    let mut changes: Vec<(String, String)> = Vec::new();
    for (key, value) in view.iter() {
        if names.iter().any(|n| n.eq_ignore_ascii_case(key)) {
            changes.push((key.to_owned(), REDACTED.to_owned()));
        } else if let Some(inner) = view.get_raw(key)
            && let Cow::Owned(changed) = redact(inner, names, depth + 1)
        {
            changes.push((key.to_owned(), changed.get().to_owned()));
        } else {
            let _untouched = value;
        }
    }
    if changes.is_empty() {
        return Cow::Borrowed(raw);
    }
    let mut view = view;
    for (key, json) in changes {
        // Both kinds of text were JSON a moment ago.
        let _valid = view.set_json(&key, &json);
    }
    Cow::Owned(view.to_raw())
}

fn array<'a>(raw: &'a RawValue, names: &[String], depth: usize) -> Cow<'a, RawValue> {
    let Some(view) = Array::parse(raw) else { return Cow::Borrowed(raw) };
    let items: Vec<Cow<'_, RawValue>> = view.raws().map(|item| redact(item, names, depth + 1)).collect();
    if items.iter().all(|item| matches!(item, Cow::Borrowed(_))) {
        return Cow::Borrowed(raw);
    }
    let text = format!("[{}]", items.iter().map(|i| i.get()).collect::<Vec<_>>().join(","));
    let made: Result<Raw, _> = raw_json(text);
    made.map_or(Cow::Borrowed(raw), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_members_are_taken_out_at_any_depth_and_the_rest_stays() {
        let names = ["password".to_owned()];
        let text = r#"{"user":"a", "Password":"x","list":[{"password":1,"n":1.50}]}"#;
        let got = redacted(text, &names).expect("changed");
        assert!(!got.contains("\"x\"") && got.contains("1.50") && got.contains("\"user\":\"a\""), "{got}");
        assert_eq!(got.matches("[redacted]").count(), 2);
        assert_eq!(redacted(r#"{"user":"a"}"#, &names), None);
    }
}
