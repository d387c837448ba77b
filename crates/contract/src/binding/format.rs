//! What a placeholder looks like. Client libraries check the look of keys before they send one, so the stand-in keeps
//! prefix, alphabet and length of the real thing.

/// Fewest bits of a placeholder that are random. With fewer it could be guessed, or stand in a text by chance.
const RANDOM_BITS_MIN: u32 = 64;
/// Longest placeholder in characters. Every placeholder of a node is searched for in every request.
const LENGTH_MAX: usize = 256;

/// The look of a placeholder: literal parts and random ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    word: String,
    parts: Vec<Part>,
}

/// A part of a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it stands.
    Literal(String),
    /// So many random characters.
    Random(Alphabet, usize),
}

/// From which characters a random part is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// `0-9A-Za-z`.
    Alnum,
    /// `0-9A-Z`.
    Upper,
    /// `0-9a-z`.
    Lower,
    /// `0-9`.
    Digit,
    /// `0-9a-f`.
    Hex,
    /// `A-Z2-7`, as in access key ids of AWS.
    Base32,
}

/// Named formats and the template each stands for. Lengths are those that the providers document or issue.
const NAMED: &[(&str, &str)] = &[
    ("cella", "cel_{alnum:32}"),
    ("ghp", "ghp_{alnum:36}"),
    ("github_pat", "github_pat_{alnum:22}_{alnum:59}"),
    ("sk", "sk-{alnum:48}"),
    ("sk-ant", "sk-ant-api03-{alnum:93}AA"),
    ("xoxb", "xoxb-{digit:12}-{digit:12}-{alnum:24}"),
    ("akia", "AKIA{base32:16}"),
    ("aws-secret", "{alnum:40}"),
    ("uuid", "{hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}"),
];

// === impl Format ===

impl Format {
    /// Reads a format: a name (`cella`, `ghp`, `github_pat`, `sk`, `sk-ant`, `xoxb`, `akia`, `aws-secret`, `uuid`),
    /// `hex:N`, or a template such as `key-{alnum:32}`.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(word: &str) -> Result<Self, String> {
        let template = match (NAMED.iter().find(|(name, _)| *name == word), word.strip_prefix("hex:")) {
            (Some((_, template)), _) => (*template).to_owned(),
            (None, Some(count)) => format!("{{hex:{count}}}"),
            (None, None) if word.contains('{') => word.to_owned(),
            (None, None) => {
                let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
                return Err(format!(
                    "write {}, hex:N or a template like \"key-{{alnum:32}}\"",
                    names.join(", ")
                ));
            }
        };
        let parts = parts(&template)?;
        let format = Self { word: word.to_owned(), parts };
        if format.len() > LENGTH_MAX {
            return Err(format!("make it at most {LENGTH_MAX} characters long"));
        }
        let bits: u32 = format.parts.iter().map(Part::bits).sum();
        if bits < RANDOM_BITS_MIN {
            return Err("make more of it random, for example {alnum:32}: it could be guessed".to_owned());
        }
        Ok(format)
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.word
    }

    /// Its parts in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Characters of a placeholder in this format; all are ASCII.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// Never true: a format without random characters is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for Format {
    fn default() -> Self {
        let parts = vec![Part::Literal("cel_".to_owned()), Part::Random(Alphabet::Alnum, 32)];
        Self { word: "cella".to_owned(), parts }
    }
}

// === impl Part ===

impl Part {
    fn len(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Random(_, count) => *count,
        }
    }

    fn bits(&self) -> u32 {
        match self {
            Self::Literal(_) => 0,
            Self::Random(alphabet, count) => {
                let each = alphabet.characters().len().ilog2();
                each.saturating_mul(u32::try_from(*count).unwrap_or(u32::MAX))
            }
        }
    }
}

// === impl Alphabet ===

impl Alphabet {
    const ALL: [(&'static str, Self); 6] = [
        ("alnum", Self::Alnum),
        ("upper", Self::Upper),
        ("lower", Self::Lower),
        ("digit", Self::Digit),
        ("hex", Self::Hex),
        ("base32", Self::Base32),
    ];

    /// Its characters.
    #[must_use]
    pub const fn characters(self) -> &'static [u8] {
        match self {
            Self::Alnum => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            Self::Upper => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            Self::Lower => b"0123456789abcdefghijklmnopqrstuvwxyz",
            Self::Digit => b"0123456789",
            Self::Hex => b"0123456789abcdef",
            Self::Base32 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        }
    }
}

fn parts(template: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (literal, random) = rest.split_once('{').map_or((rest, None), |(l, r)| (l, Some(r)));
        // What needs no escape in a header, in JSON and in a query: the placeholder then travels as it is.
        if !literal.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
            return Err("use letters, digits, `-`, `_` and `.` beside the {…} parts".to_owned());
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.to_owned()));
        }
        let Some(random) = random else { break };
        let (inner, after) = random.split_once('}').ok_or("close the `{`")?;
        parts.push(random_part(inner)?);
        rest = after;
    }
    Ok(parts)
}

fn random_part(inner: &str) -> Result<Part, String> {
    let wrong = || {
        let words: Vec<&str> = Alphabet::ALL.iter().map(|(name, _)| *name).collect();
        format!("write {{WORD:COUNT}} with a word of {} and a count from 1 to {LENGTH_MAX}", words.join(", "))
    };
    let (word, count) = inner.split_once(':').ok_or_else(wrong)?;
    let (_, alphabet) = Alphabet::ALL.into_iter().find(|(name, _)| *name == word).ok_or_else(wrong)?;
    let digits = !count.starts_with('0') && count.bytes().all(|b| b.is_ascii_digit());
    let count = count.parse().ok().filter(|n| digits && (1..=LENGTH_MAX).contains(n));
    Ok(Part::Random(alphabet, count.ok_or_else(wrong)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_format_is_a_valid_template() {
        for (name, template) in NAMED {
            let named = Format::parse(name).expect("a format");
            assert_eq!(named.parts(), Format::parse(template).expect("a template").parts());
        }
        assert_eq!(Format::parse("cella").expect("a format"), Format::default());
        assert_eq!(Format::parse("ghp").expect("a format").len(), 40);
        assert_eq!(Format::parse("akia").expect("a format").len(), 20);
        assert_eq!(Format::parse("uuid").expect("a format").len(), 36);
        assert_eq!(Format::parse("hex:64").expect("a format").len(), 64);
    }

    #[test]
    fn what_is_no_format_or_could_be_guessed_is_refused() {
        for wrong in [
            "",
            "gph",
            "hex:",
            "hex:0",
            "hex:8",
            "hex:x",
            "hex:257",
            "hex:-1",
            "hex:+32",
            "hex:032",
            "{alnum:32",
            "{alnum}",
            "{alnum:0}",
            "{word:32}",
            "a b{alnum:32}",
            "{{alnum:32}}",
            "}{alnum:32}",
            "{alnum:8}",
            "\u{e9}{alnum:32}",
            "{alnum:200}{alnum:200}",
            "{alnum:99999999999999999999}",
        ] {
            assert!(Format::parse(wrong).is_err(), "{wrong}");
        }
    }
}
