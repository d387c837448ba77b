//! Where and how a secret may be used: the typed words of `[secrets.NAME]`.

mod format;
mod location;
mod path;

pub use format::{Alphabet, Format, Part};
pub use location::{JsonStep, Location};
pub use path::PathPattern;

/// True for a host as bindings name it: lower case, no port, `*.` only in front.
pub(crate) fn is_host(text: &str) -> bool {
    let host = text.strip_prefix("*.").unwrap_or(text);
    let label = |l: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !l.is_empty() && l.len() <= 63 && !l.starts_with('-') && !l.ends_with('-') && l.bytes().all(plain)
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// True for a method: upper-case letters, as HTTP compares methods with their case.
pub(crate) fn is_method(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_written_without_port_scheme_or_capitals() {
        for right in ["api.github.com", "*.example.com", "10.0.0.5", "localhost"] {
            assert!(is_host(right), "{right}");
        }
        for wrong in ["", "*", "*.", "a..b", "A.b", "a.b:443", "https://a", "a.*.b", "-a.b", "a_b.c", "a.b."]
        {
            assert!(!is_host(wrong), "{wrong}");
        }
    }
}
