//! Declaring tables, and reading the shapes that values have: tables, lists, names, numbers, truth values.

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

use super::{Fault, KeySpec, Located, Named, Node, Read, Reader, Slot, Word};
use crate::Code;

/// Entries of one list or table of names. Stops a file from making every later step slow.
const ENTRIES_MAX: usize = 10_000;
/// Largest count that may be written.
const COUNT_MAX: u32 = 1_000_000_000;

/// Declares a table: fields are keys, doc comments are descriptions. `@required` before a field makes it one.
macro_rules! table {
    (
        $(#[doc = $about:literal])+
        pub(crate) struct $name:ident {
            $($(#[doc = $doc:literal])+ $(@$required:ident)? $key:ident: $type:ty,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $($(#[doc = $doc])+ pub(crate) $key: $crate::read::Slot<$type>,)+
        }

        impl $name {
            pub(crate) const KEYS: &'static [$crate::read::KeySpec] = &[$($crate::read::KeySpec {
                name: stringify!($key),
                doc: concat!($($doc),+),
                required: $crate::read::strict_table!(@required $($required)?),
                schema: <$type as $crate::read::Read>::schema,
            },)+];
        }

        impl $crate::read::Read for $name {
            fn read(node: &$crate::read::Node<'_>, reader: &mut $crate::read::Reader<'_>) -> Option<Self> {
                reader.open(node, Self::KEYS, |table, reader| Self {
                    $($key: reader.slot(table, stringify!($key)),)+
                })
            }

            fn schema() -> serde_json::Value {
                $crate::read::object(Self::KEYS, concat!($($about),+))
            }
        }
    };
}

/// The constant parts of [`table!`].
macro_rules! strict_table {
    (@required) => {
        false
    };
    (@required required) => {
        true
    };
}

pub(crate) use {strict_table, table};

/// JSON Schema of a declared table.
pub(crate) fn object(keys: &[KeySpec], about: &str) -> Value {
    let mut properties = Map::new();
    for key in keys {
        let mut schema = (key.schema)();
        if let Some(schema) = schema.as_object_mut() {
            // The key's own words say more than those of its type.
            schema.insert("description".to_owned(), Value::String(key.doc.trim().to_owned()));
        }
        properties.insert(key.name.to_owned(), schema);
    }
    let mut schema = json!({
        "type": "object",
        "description": about.trim(),
        "properties": properties,
        "additionalProperties": false,
    });
    let required: Vec<&str> = keys.iter().filter(|k| k.required).map(|k| k.name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

impl Reader<'_> {
    /// Reads a declared table: its unknown keys are wrong, its required keys must be there.
    pub(crate) fn open<'n, 'v, T>(
        &mut self,
        node: &'n Node<'v>,
        keys: &[KeySpec],
        read: impl FnOnce(&'n DeTable<'v>, &mut Self) -> T,
    ) -> Option<T> {
        let table = self.table(node)?;
        Some(self.enter(|reader| {
            reader.known_keys(table, keys);
            for key in keys.iter().filter(|k| k.required && find(table, k.name).is_none()) {
                let section = reader.section();
                let fault = Fault::new(Code::MISSING_KEY, format!("`{}` is missing in {section}", key.name))
                    .cause(key.doc.trim());
                reader.error(node.span(), format!("needs `{}`", key.name), fault);
            }
            read(table, reader)
        }))
    }

    /// What stands at a key.
    pub(crate) fn slot<T: Read>(&mut self, table: &DeTable<'_>, name: &str) -> Slot<T> {
        let Some((key, node)) = find(table, name) else { return Slot::Absent };
        self.at_key(name);
        match T::read(node, self) {
            Some(value) => Slot::Found { key, value: Located { value, span: node.span() } },
            None => Slot::Broken { key },
        }
    }
}

fn find<'n, 'v>(table: &'n DeTable<'v>, name: &str) -> Option<(std::ops::Range<usize>, &'n Node<'v>)> {
    table.iter().find(|(key, _)| key.get_ref() == name).map(|(key, node)| (key.span(), node))
}

impl<T: Read> Read for Vec<Located<T>> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(list) = node.get_ref() else {
            reader.wrong_type(node, "a list");
            return None;
        };
        if list.len() > ENTRIES_MAX {
            reader.too_many(node.span(), ENTRIES_MAX);
            return None;
        }
        let elements = list.iter().filter_map(|node| {
            let value = reader.element(|reader| T::read(node, reader))?;
            Some(Located { value, span: node.span() })
        });
        // A wrong element has been reported; the others stay, so that later checks see them.
        Some(elements.collect())
    }

    fn schema() -> Value {
        json!({"type": "array", "items": T::schema()})
    }
}

impl<K: Word, V: Read> Read for Vec<Named<K, V>> {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let table = reader.table(node)?;
        if table.len() > ENTRIES_MAX {
            reader.too_many(node.span(), ENTRIES_MAX);
            return None;
        }
        Some(reader.enter(|reader| {
            let entries = table.iter().filter_map(|(key, node)| {
                let name = reader.name::<K>(key);
                reader.at_key(key.get_ref());
                let value = V::read(node, reader).map(|value| Located { value, span: node.span() });
                Some(Named { name: Located { value: name?, span: key.span() }, value })
            });
            let mut entries: Vec<_> = entries.collect();
            entries.sort_by_key(|entry| entry.name.span.start);
            entries
        }))
    }

    fn schema() -> Value {
        json!({"type": "object", "propertyNames": K::schema(), "additionalProperties": V::schema()})
    }
}

impl Read for bool {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let DeValue::Boolean(value) = node.get_ref() {
            return Some(*value);
        }
        reader.wrong_type(node, "true or false");
        None
    }

    fn schema() -> Value {
        json!({"type": "boolean"})
    }
}

/// Counts: whole numbers of things, from 1.
impl Read for u32 {
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Integer(integer) = node.get_ref() else {
            reader.wrong_type(node, "a whole number");
            return None;
        };
        match Self::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(count) if (1..=COUNT_MAX).contains(&count) => Some(count),
            _ => {
                let message = format!("{integer} is not a count");
                let fault = Fault::new(Code::BAD_QUANTITY, message).cause("counts go from 1 to 1000000000");
                reader.error(node.span(), "expected a whole number from 1", fault);
                None
            }
        }
    }

    fn schema() -> Value {
        json!({"type": "integer", "minimum": 1, "maximum": COUNT_MAX})
    }
}
