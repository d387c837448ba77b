//! The typed fields of an event's body: text, safe integers, booleans, lists and maps. No floats and no null: two
//! programs never print a float alike, and what is absent is left out.

use std::borrow::Cow;

/// Deepest nesting of lists and maps in a body. Stops a crafted export from exhausting a verifier's stack.
pub const DEPTH_MAX: usize = 8;

/// Longest key, in bytes. Stops unbounded keys in bodies that are built from peers' data.
pub const KEY_BYTES_MAX: usize = 64;

/// An integer that every JSON implementation reads alike: within ±(2^53 - 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Int(i64);

/// The name of a field: 1 to 64 bytes of printable ASCII without `"` and `\`, so that it is never escaped and sorts
/// alike everywhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Cow<'static, str>);

/// One field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A safe integer.
    Int(Int),
    /// Any text.
    Text(Cow<'static, str>),
    /// Values in order.
    List(Vec<Self>),
    /// Named values.
    Map(Map),
}

/// Fields in the order of their keys; a key stands once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map(Vec<(Key, Value)>);

// === impl Int ===

impl Int {
    /// The greatest: 2^53 - 1.
    pub const MAX: Self = Self((1 << 53) - 1);
    /// The least: -(2^53 - 1).
    pub const MIN: Self = Self(-((1 << 53) - 1));

    /// `None` outside the safe range.
    #[must_use]
    pub const fn new(value: i64) -> Option<Self> {
        if value > Self::MAX.0 || value < Self::MIN.0 { None } else { Some(Self(value)) }
    }

    /// For counts, sizes and durations, which end long before the limit does.
    #[must_use]
    pub fn saturating(value: u64) -> Self {
        i64::try_from(value).ok().and_then(Self::new).unwrap_or(Self::MAX)
    }

    /// The value.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

// === impl Key ===

impl Key {
    /// Checks a key that was made at run time; `None` when it is not a key.
    #[must_use]
    pub fn new(text: impl Into<Cow<'static, str>>) -> Option<Self> {
        let text = text.into();
        is_key(text.as_bytes()).then_some(Self(text))
    }

    /// For a literal in the source.
    ///
    /// # Panics
    /// When the literal is not a key, which a test that builds the event once finds.
    #[must_use]
    pub const fn literal(text: &'static str) -> Self {
        assert!(is_key(text.as_bytes()), "a key is 1 to 64 bytes of printable ASCII without \" and \\");
        Self(Cow::Borrowed(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_key(text: &[u8]) -> bool {
    if text.is_empty() || text.len() > KEY_BYTES_MAX {
        return false;
    }
    let mut i = 0;
    while i < text.len() {
        if !matches!(text[i], 0x20..=0x7e) || text[i] == b'"' || text[i] == b'\\' {
            return false;
        }
        i += 1;
    }
    true
}

// === impl Map ===

impl Map {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds or replaces a field named by a literal (see [`Key::literal`]); reads well in a chain.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.insert(Key::literal(key), value);
        self
    }

    /// Adds or replaces a field.
    pub fn insert(&mut self, key: Key, value: impl Into<Value>) {
        let value = value.into();
        // Fields mostly arrive in order: the end is looked at first.
        if self.0.last().is_none_or(|(last, _)| *last < key) {
            self.0.push((key, value));
            return;
        }
        match self.0.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        let at = self.0.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok()?;
        Some(&self.0[at].1)
    }

    /// The text of a field, `None` when it is absent or not a text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer of a field, `None` when it is absent or not an integer.
    #[must_use]
    pub fn int(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            Value::Int(int) => Some(int.get()),
            _ => None,
        }
    }

    /// The boolean of a field, `None` when it is absent or not a boolean.
    #[must_use]
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(bool) => Some(*bool),
            _ => None,
        }
    }

    /// The map of a field, `None` when it is absent or not a map.
    #[must_use]
    pub fn map(&self, key: &str) -> Option<&Self> {
        match self.get(key)? {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Fields in key order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &Value)> {
        self.0.iter().map(|(k, v)| (k, v))
    }

    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn last_key(&self) -> Option<&Key> {
        self.0.last().map(|(key, _)| key)
    }

    /// For the decoder, which has checked that keys rise.
    pub(crate) fn push_sorted(&mut self, key: Key, value: Value) {
        self.0.push((key, value));
    }
}

// === impl Value ===

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Int> for Value {
    fn from(value: Int) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(Int(value.into()))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(Int(value.into()))
    }
}

impl From<&'static str> for Value {
    fn from(value: &'static str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Self::Map(value)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}
