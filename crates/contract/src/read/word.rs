//! Values that are written as one text: their form, and enumerations made of words.

use serde_json::Value;

use crate::{Code, Place, read::Fault, suggest};

/// A value that is written as one text.
pub(crate) trait Word: Sized {
    /// For messages: `a duration such as "30s"`.
    const EXPECTED: &'static str;

    fn parse(text: &str, place: &Place) -> Result<Self, Fault>;

    /// JSON Schema of the text.
    fn schema() -> Value;
}

/// Declares an enumeration of words: the type, its texts, its parser and its schema.
macro_rules! choices {
    (
        $(#[$doc:meta])*
        $vis:vis enum $name:ident {
            $($(#[doc = $what:literal])+ $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[doc = $what])+ $variant,)+
        }

        impl $name {
            /// All of them, in order.
            $vis const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in files.
            #[must_use]
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::read::Word for $name {
            const EXPECTED: &'static str = $crate::read::choices!(@or $($word)+);

            fn parse(text: &str, _: &$crate::Place) -> Result<Self, $crate::read::Fault> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::read::unknown_word(text, Self::ALL.iter().map(|choice| choice.as_str()))),
                }
            }

            fn schema() -> serde_json::Value {
                serde_json::json!({"oneOf": [$({
                    "const": $word,
                    "description": $crate::read::choices!(@doc $($what)+),
                }),+]})
            }
        }

        $crate::read::reads_text!($name);
    };
    (@or $first:literal $($rest:literal)*) => { concat!("\"", $first, "\"" $(, " or \"", $rest, "\"")*) };
    (@doc $first:literal $($rest:literal)*) => { concat!($first $(, $rest)*).trim_ascii() };
}

/// Lets a [`Word`] stand as a value in a table.
macro_rules! reads_text {
    ($($name:ty),+) => {$(
        impl $crate::read::Read for $name {
            fn read(value: &$crate::read::Node<'_>, reader: &mut $crate::read::Reader<'_>) -> Option<Self> {
                reader.word(value)
            }

            fn schema() -> serde_json::Value {
                <Self as $crate::read::Word>::schema()
            }
        }
    )+};
}

pub(crate) use {choices, reads_text};

/// A word that is not among the choices.
pub(crate) fn unknown_word<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Fault {
    let words: Vec<&str> = words.collect();
    let fault = Fault::new(Code::UNKNOWN_WORD, format!("unknown word {text:?}"));
    match suggest::closest(text, &words) {
        Some(word) => fault.fix(format!("did you mean {word:?}?")),
        None => fault,
    }
}
