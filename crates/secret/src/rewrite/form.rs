//! Where in an `application/x-www-form-urlencoded` body a byte stands.

use super::head::field_name;
use crate::limits::FORM_NAME_BYTES_MAX;

/// Follows a body.
#[derive(Debug, Default)]
pub(super) struct FormTracker {
    field: u64,
    name: Vec<u8>,
    overlong: bool,
    in_value: bool,
}

// === impl FormTracker ===

impl FormTracker {
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.in_value {
                let Some(end) = memchr::memchr(b'&', bytes) else { return };
                self.field += 1;
                self.name.clear();
                (self.in_value, self.overlong) = (false, false);
                bytes = &bytes[end + 1..];
            } else {
                let end = memchr::memchr2(b'=', b'&', bytes);
                let name = &bytes[..end.unwrap_or(bytes.len())];
                self.overlong |= self.name.len() + name.len() > FORM_NAME_BYTES_MAX;
                if !self.overlong {
                    self.name.extend_from_slice(name);
                }
                let Some(end) = end else { return };
                match bytes[end] {
                    b'=' => self.in_value = true,
                    _ => {
                        self.field += 1;
                        self.name.clear();
                        self.overlong = false;
                    }
                }
                bytes = &bytes[end + 1..];
            }
        }
    }

    /// Number and name of the field whose value is being read.
    pub(super) fn here(&self) -> Option<(u64, String)> {
        (self.in_value && !self.overlong).then(|| (self.field, field_name(&self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_in_a_value_is_a_field_known() {
        let mut tracker = FormTracker::default();
        for (bytes, field) in
            [("a", None), ("+b%3d=", Some("a b=")), ("x=y", Some("a b=")), ("&", None), ("c&d=", Some("d"))]
        {
            tracker.pass(bytes.as_bytes());
            assert_eq!(tracker.here().map(|(_, name)| name).as_deref(), field, "{bytes}");
        }
        tracker.pass(b"&");
        tracker.pass(&[b'n'; 2000]);
        tracker.pass(b"=");
        assert_eq!(tracker.here(), None);
    }
}
