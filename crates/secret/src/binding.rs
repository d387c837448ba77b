//! A secret of a cell: its terms, what stands for it, and its value.

use cella_contract::{Location, PathPattern, SecretTerms};

use crate::{
    Placeholder, SecretBytes,
    limits::{VALUE_BYTES_MAX, VALUE_BYTES_MIN},
};

/// A secret bound to hosts, methods, paths and places. Its value comes out only for a [`Permit`](crate::Permit).
#[derive(Clone, Debug)]
pub struct Binding {
    name: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) methods: Option<Vec<String>>,
    pub(crate) paths: Option<Vec<PathPattern>>,
    pub(crate) places: Vec<Location>,
    pair: Option<String>,
    placeholder: Placeholder,
    value: SecretBytes,
}

/// Why a value cannot be bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// It would stand in answers by chance.
    #[error(
        "the value of the secret `{name}` has {got} bytes; at least {VALUE_BYTES_MIN} are needed to find it in answers without false hits"
    )]
    TooShort {
        /// The secret.
        name: String,
        /// Its length.
        got: usize,
    },
    /// The automaton would grow too large.
    #[error(
        "the value of the secret `{name}` has {got} bytes; at most {VALUE_BYTES_MAX} can be searched for in answers"
    )]
    TooLong {
        /// The secret.
        name: String,
        /// Its length.
        got: usize,
    },
}

// === impl Binding ===

impl Binding {
    /// Binds a value.
    ///
    /// # Errors
    /// When the value is too short or too long to be found in answers.
    pub fn new(
        name: &str,
        terms: &SecretTerms,
        placeholder: Placeholder,
        value: &[u8],
    ) -> Result<Self, BindError> {
        let (name, got) = (name.to_owned(), value.len());
        if got < VALUE_BYTES_MIN {
            return Err(BindError::TooShort { name, got });
        }
        if got > VALUE_BYTES_MAX {
            return Err(BindError::TooLong { name, got });
        }
        Ok(Self::holding(name, terms, placeholder, SecretBytes::from(value)))
    }

    /// A binding whose value is not known: for a host that it does not reach, where nothing but the refusal is needed.
    /// Should it be used all the same, nothing takes the placeholder's place.
    #[must_use]
    pub fn blank(name: &str, terms: &SecretTerms, placeholder: Placeholder) -> Self {
        Self::holding(name.to_owned(), terms, placeholder, SecretBytes::new(Vec::new()))
    }

    fn holding(name: String, terms: &SecretTerms, placeholder: Placeholder, value: SecretBytes) -> Self {
        Self {
            name,
            hosts: terms.hosts.clone(),
            methods: terms.methods.clone(),
            paths: terms.paths.clone(),
            places: terms.locations(),
            pair: terms.pair.clone(),
            placeholder,
            value,
        }
    }

    /// Its name in the contract.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands for it in the cell.
    #[must_use]
    pub fn placeholder(&self) -> &Placeholder {
        &self.placeholder
    }

    /// For an access key id: the secret that holds its secret key.
    #[must_use]
    pub fn pair(&self) -> Option<&str> {
        self.pair.as_deref()
    }

    /// True when requests to a host (lower case, no port) may use it.
    #[must_use]
    pub fn reaches(&self, host: &str) -> bool {
        self.hosts.iter().any(|bound| match bound.strip_prefix("*.") {
            None => bound == host,
            Some(domain) => host
                .strip_suffix(domain)
                .and_then(|below| below.strip_suffix('.'))
                .is_some_and(|below| !below.is_empty()),
        })
    }

    /// The value, for a permit and for the search in answers.
    pub(crate) fn value(&self) -> &[u8] {
        self.value.expose()
    }
}

// === impl BindError ===

impl BindError {
    /// The stable code, with a page in `docs/errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "CE2345",
            Self::TooLong { .. } => "CE2346",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(hosts: &[&str], value: &[u8]) -> Result<Binding, BindError> {
        let hosts = hosts.iter().map(|h| (*h).to_owned()).collect();
        let terms = SecretTerms { hosts, ..SecretTerms::default() };
        let placeholder =
            Placeholder::generate(&cella_contract::Format::default(), &[7; 200]).expect("bytes");
        Binding::new("K", &terms, placeholder, value)
    }

    #[test]
    fn a_value_that_would_be_found_by_chance_is_refused() {
        assert_eq!(bind(&[], b"hunter2").map_err(|e| e.code()).err(), Some("CE2345"));
        assert_eq!(bind(&[], &[b'x'; 9000]).map_err(|e| e.code()).err(), Some("CE2346"));
        let shown = format!("{:?}", bind(&[], b"a value of length").expect("bound"));
        assert!(!shown.contains("a value") && !shown.contains("97, 32"), "{shown}");
    }

    #[test]
    fn a_star_stands_for_labels_below_a_domain_and_not_for_the_domain() {
        let binding = bind(&["a.example", "*.b.example"], b"a value of length").expect("bound");
        for (host, reaches) in [
            ("a.example", true),
            ("x.a.example", false),
            ("b.example", false),
            ("x.b.example", true),
            ("x.y.b.example", true),
            ("xb.example", false),
            (".b.example", false),
            ("a.example.evil", false),
        ] {
            assert_eq!(binding.reaches(host), reaches, "{host}");
        }
    }
}
