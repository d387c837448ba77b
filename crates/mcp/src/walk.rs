//! Steps through the members of an object or the elements of an array whose text is known to be valid JSON.
//!
//! Nothing is validated again; text that is not valid after all ends the walk early and never panics.

use crate::text::plain_len;

/// One member of an object, as slices of its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    /// The key, quotes included.
    pub(crate) key: &'a str,
    /// The value.
    pub(crate) value: &'a str,
    /// From the key's first byte to the value's last.
    pub(crate) whole: &'a str,
}

/// Members in order of appearance.
#[derive(Clone, Debug)]
pub(crate) struct Members<'a> {
    text: &'a str,
    at: usize,
}

/// Elements in order.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    text: &'a str,
    at: usize,
}

/// The members of an object; `None` when `text` is no object.
pub(crate) fn members(text: &str) -> Option<Members<'_>> {
    let at = space(text.as_bytes(), 0);
    (text.as_bytes().get(at) == Some(&b'{')).then_some(Members { text, at: at + 1 })
}

/// The elements of an array; `None` when `text` is no array.
pub(crate) fn elements(text: &str) -> Option<Elements<'_>> {
    let at = space(text.as_bytes(), 0);
    (text.as_bytes().get(at) == Some(&b'[')).then_some(Elements { text, at: at + 1 })
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let bytes = self.text.as_bytes();
        let start = first_of_next(bytes, self.at)?;
        if bytes.get(start) != Some(&b'"') {
            return None;
        }
        let key_end = string_end(bytes, start);
        let colon = space(bytes, key_end);
        let value_start = space(bytes, colon + 1);
        let value_end = value_end(bytes, value_start);
        self.at = value_end;
        Some(Member {
            key: self.text.get(start..key_end)?,
            value: self.text.get(value_start..value_end)?,
            whole: self.text.get(start..value_end)?,
        })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let start = first_of_next(bytes, self.at)?;
        let end = value_end(bytes, start);
        self.at = end;
        (end > start).then(|| self.text.get(start..end))?
    }
}

fn first_of_next(bytes: &[u8], at: usize) -> Option<usize> {
    let at = space(bytes, at);
    match bytes.get(at)? {
        b',' => Some(space(bytes, at + 1)),
        b'}' | b']' => None,
        _ => Some(at),
    }
}

fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The end of the string whose opening quote is at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < bytes.len() {
        at += plain_len(&bytes[at..]);
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn value_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => string_end(bytes, at),
        Some(b'{' | b'[') => container_end(bytes, at),
        _ => {
            let scalar = bytes.get(at..).unwrap_or_default();
            at + scalar.iter().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count()
        }
    }
}

fn container_end(bytes: &[u8], mut at: usize) -> usize {
    let mut open = 0_usize;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' => {
                open -= 1;
                if open == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
