//! Partial views of raw JSON: look at some members, change some, and keep every other byte as it came.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{Raw, raw, text, walk};

/// A JSON object whose members can be read and changed one by one.
///
/// Members that are not touched keep their exact text and their place; new members are put at the end. Of a repeated key
/// the last one counts, as for most readers, and a change leaves only one.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    source: &'a str,
    members: Vec<Member<'a>>,
    changed: bool,
}

#[derive(Clone, Debug)]
struct Member<'a> {
    key: Cow<'a, str>,
    value: Cow<'a, str>,
    /// Key, colon and value as they came; `None` once the value was replaced.
    whole: Option<&'a str>,
}

/// A JSON array, seen as its elements.
#[derive(Clone, Debug)]
pub struct Array<'a> {
    source: &'a str,
}

/// A text that was offered as JSON and is not exactly one JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one JSON value")]
#[non_exhaustive]
pub struct NotJson;

/// Checks that `text` is one JSON value and makes a raw value of it.
///
/// # Errors
/// [`NotJson`] when it is none, or more than one.
pub fn raw_json(text: impl Into<String>) -> Result<Raw, NotJson> {
    RawValue::from_string(text.into()).map_err(|_| NotJson)
}

/// `text` as a raw JSON string.
#[must_use]
pub fn raw_string(text: &str) -> Raw {
    raw::checked(text::quoted(text))
}

/// The raw text of one member of an object; `None` when `object` is no object or lacks it.
#[must_use]
pub fn member<'a>(object: &'a RawValue, key: &str) -> Option<&'a RawValue> {
    member_text(object.get(), key).map(raw::borrowed)
}

/// Like [`member`], on text that is known to be JSON.
pub(crate) fn member_text<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    if !may_name(object, key) {
        return None;
    }
    walk::members(object)?.filter(|m| key_is(m.key, key)).map(|m| m.value).last()
}

/// Whether a key can occur in `object` at all. A call is asked for a dozen members and has three: the search for a few bytes
/// takes a tenth of the instructions of a walk, and nothing is walked for what is not there.
fn may_name(object: &str, key: &str) -> bool {
    object.contains(key) || object.as_bytes().contains(&b'\\')
}

fn key_is(quoted: &str, key: &str) -> bool {
    let plain = text::inside(quoted);
    plain == key || (plain.as_bytes().contains(&b'\\') && text::unescape_lossy(quoted) == key)
}

// === impl Object ===

impl<'a> Object<'a> {
    /// A view of `raw`; `None` when it is no object.
    #[must_use]
    pub fn parse(raw: &'a RawValue) -> Option<Self> {
        Self::over(raw.get())
    }

    /// An object without members.
    #[must_use]
    pub const fn empty() -> Self {
        Self { source: "{}", members: Vec::new(), changed: false }
    }

    /// A view of `raw`, or an empty object when there is none.
    #[must_use]
    pub fn parse_or_empty(raw: Option<&'a RawValue>) -> Self {
        raw.and_then(Self::parse).unwrap_or_else(Self::empty)
    }

    /// A view of text that is known to be JSON.
    pub(crate) fn over(source: &'a str) -> Option<Self> {
        let members = walk::members(source)?.map(|m| Member {
            key: text::unescape_lossy(m.key),
            value: Cow::Borrowed(m.value),
            whole: Some(m.whole),
        });
        Some(Self { source, members: members.collect(), changed: false })
    }

    /// The JSON text of a member's value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.find(key).map(|m| m.value.as_ref())
    }

    /// A member's value.
    #[must_use]
    pub fn get_raw(&self, key: &str) -> Option<&RawValue> {
        self.get(key).map(raw::borrowed)
    }

    /// The characters of a member that is a string.
    #[must_use]
    pub fn get_str(&self, key: &str) -> Option<Cow<'_, str>> {
        self.get(key).and_then(text::unescape)
    }

    /// A member that is `true` or `false`.
    #[must_use]
    pub fn get_bool(&self, key: &str) -> Option<bool> {
        self.get(key)?.parse().ok()
    }

    /// A member that is an integer and fits.
    #[must_use]
    pub fn get_i64(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }

    /// True when the member exists, whatever its value.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Sets a member, in its place when it exists, else at the end.
    pub fn set(&mut self, key: &str, value: &RawValue) {
        self.put(key, value.get().to_owned());
    }

    /// Sets a member to JSON text.
    ///
    /// # Errors
    /// [`NotJson`] when `json` is not exactly one JSON value; nothing is changed then.
    pub fn set_json(&mut self, key: &str, json: &str) -> Result<(), NotJson> {
        serde_json::from_str::<&RawValue>(json).map_err(|_| NotJson)?;
        self.put(key, json.to_owned());
        Ok(())
    }

    /// Sets a member to a string.
    pub fn set_str(&mut self, key: &str, value: &str) {
        self.put(key, text::quoted(value));
    }

    /// Sets a member to an integer.
    pub fn set_i64(&mut self, key: &str, value: i64) {
        self.put(key, value.to_string());
    }

    /// Sets a member to `true` or `false`.
    pub fn set_bool(&mut self, key: &str, value: bool) {
        self.put(key, value.to_string());
    }

    /// Removes a member; true when it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        let before = self.members.len();
        self.members.retain(|m| m.key != key);
        let removed = self.members.len() < before;
        self.changed |= removed;
        removed
    }

    /// Edits a member that is an object. A member that is absent, or no object, starts empty; it is written only when
    /// `edit` changed something.
    pub fn edit_object(&mut self, key: &str, edit: impl FnOnce(&mut Object<'_>)) {
        let old = self.get(key).map(str::to_owned);
        let mut inner = old.as_deref().and_then(Object::over).unwrap_or_else(Object::empty);
        edit(&mut inner);
        if inner.changed {
            self.put(key, inner.to_text());
        }
    }

    /// Like [`Object::edit_object`], but a member that `edit` leaves without members is removed.
    pub fn edit_object_or_remove(&mut self, key: &str, edit: impl FnOnce(&mut Object<'_>)) {
        let mut emptied = false;
        self.edit_object(key, |inner| {
            edit(inner);
            emptied = inner.changed && inner.is_empty();
        });
        if emptied {
            self.remove(key);
        }
    }

    /// The members in order: key (escapes resolved) and JSON text of the value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|m| (m.key.as_ref(), m.value.as_ref()))
    }

    /// Number of members.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// True without members.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// True when a member was set or removed.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        self.changed
    }

    /// The object as raw JSON: the source itself when nothing changed.
    #[must_use]
    pub fn to_raw(&self) -> Raw {
        raw::checked(self.to_text())
    }

    pub(crate) fn to_text(&self) -> String {
        if !self.changed {
            return self.source.to_owned();
        }
        let mut out = String::with_capacity(self.source.len() + 64);
        for m in &self.members {
            out.push(if out.is_empty() { '{' } else { ',' });
            if let Some(whole) = m.whole {
                out.push_str(whole);
            } else {
                text::push_string(&mut out, &m.key);
                out.push(':');
                out.push_str(&m.value);
            }
        }
        if out.is_empty() {
            out.push('{');
        }
        out.push('}');
        out
    }

    /// Sets a member to text that is known to be JSON.
    pub(crate) fn put(&mut self, key: &str, json: String) {
        self.changed = true;
        let Some(last) = self.members.iter().rposition(|m| m.key == key) else {
            self.members.push(Member {
                key: Cow::Owned(key.to_owned()),
                value: Cow::Owned(json),
                whole: None,
            });
            return;
        };
        let place = &mut self.members[last];
        place.value = Cow::Owned(json);
        place.whole = None;
        let mut at = 0;
        self.members.retain(|m| {
            at += 1;
            at - 1 == last || m.key != key
        });
    }

    fn find(&self, key: &str) -> Option<&Member<'a>> {
        self.members.iter().rfind(|m| m.key == key)
    }
}

// === impl Array ===

impl<'a> Array<'a> {
    /// A view of `raw`; `None` when it is no array.
    #[must_use]
    pub fn parse(raw: &'a RawValue) -> Option<Self> {
        Self::over(raw.get())
    }

    pub(crate) fn over(source: &'a str) -> Option<Self> {
        walk::elements(source).map(|_| Self { source })
    }

    /// The JSON text of each element, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        walk::elements(self.source).into_iter().flatten()
    }

    /// Each element, in order.
    pub fn raws(&self) -> impl Iterator<Item = &'a RawValue> + use<'a> {
        self.iter().map(raw::borrowed)
    }

    /// The characters of the elements that are strings.
    pub fn strings(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.iter().filter_map(text::unescape)
    }
}

#[cfg(test)]
mod tests;
