//! From text that was already checked to a raw JSON value, without a second pass.
//!
//! `serde_json` offers this only as an `unsafe` function. Its `RawValue` can however be deserialised from any source that
//! hands it a text, so this module is such a source. Should a later release refuse, the slower way is taken: the text
//! is parsed again.

use serde::{
    Deserialize,
    de::{
        DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor,
        value::{BorrowedStrDeserializer, Error, StringDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

use crate::Raw;

/// A raw value of text that the scanner accepted, or that was put together from such text.
pub(crate) fn checked(text: String) -> Raw {
    debug_assert!(
        serde_json::from_str::<&RawValue>(&text).is_ok_and(|v| v.get().len() == text.len()),
        "{text}"
    );
    let mut text = Some(text);
    let quick = Raw::deserialize(Source(Text::Owned(&mut text)));
    quick
        .ok()
        .or_else(|| RawValue::from_string(text.unwrap_or_default()).ok())
        .unwrap_or_else(|| RawValue::NULL.to_owned())
}

/// A copy of checked text as a raw value.
pub(crate) fn copied(text: &str) -> Raw {
    checked(text.to_owned())
}

/// A view of checked text as a raw value.
pub(crate) fn borrowed(text: &str) -> &RawValue {
    let quick = <&RawValue>::deserialize(Source(Text::Borrowed(text)));
    quick.ok().or_else(|| serde_json::from_str(text).ok()).unwrap_or(RawValue::NULL)
}

enum Text<'s, 'a> {
    Borrowed(&'a str),
    Owned(&'s mut Option<String>),
}

/// Pretends to be the deserialiser of `serde_json` that found `Text`.
struct Source<'s, 'a>(Text<'s, 'a>);

/// The one-entry map by which `serde_json` hands raw text to its visitor: its own marker as key, the text as value.
struct Entry<'s, 'a> {
    marker: Option<&'static str>,
    text: Text<'s, 'a>,
}

impl<'de> Deserializer<'de> for Source<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        marker: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Entry { marker: Some(marker), text: self.0 })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Entry<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.marker.take().map(|marker| seed.deserialize(BorrowedStrDeserializer::new(marker))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match &mut self.text {
            Text::Borrowed(text) => seed.deserialize(BorrowedStrDeserializer::new(text)),
            Text::Owned(text) => {
                let source: StringDeserializer<Error> = text.take().unwrap_or_default().into_deserializer();
                seed.deserialize(source)
            }
        }
    }
}
