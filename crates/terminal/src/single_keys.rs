//! JSON in which a key stands twice in one object. Readers keep the last of the two without a word, so what a person
//! wrote would not be what a tool is given.

use std::{collections::BTreeSet, fmt};

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Any JSON, read for nothing but its keys.
struct SingleKeys;

/// Reads a text once more, and fails at the first key that its object has already.
///
/// # Errors
/// The key and its place; or the text is not JSON.
pub fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<SingleKeys>(text).map(|SingleKeys| ())
}

impl<'de> Deserialize<'de> for SingleKeys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for SingleKeys {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(Self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if seen.contains(&key) {
                // The value is read so that the place in the message is behind the second of the two.
                entries.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom(format!("the key `{key}` stands twice in one object")));
            }
            entries.next_value::<Self>()?;
            seen.insert(key);
        }
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_key_may_stand_in_two_objects_but_not_twice_in_one() {
        assert!(check(r#"{"a": {"a": [1, -2, 2.5e3, null, true, "x"]}, "b": [{"a": 1}, {"a": 2}]}"#).is_ok());
        let error = check(r#"{"x": [{"a": 1, "b": 2, "\u0061": 3}]}"#).expect_err("refused");
        assert!(error.to_string().contains("`a` stands twice"), "{error}");
    }
}
