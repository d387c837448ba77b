//! What the models of known vendors cost: a dated table, so that a budget in money works on the first day.
//!
//! One line for each model, fields between tabs: vendor, model, input, output, cached input, cache write, reasoning (in pico-units of a
//! dollar for one token, empty where there is none of its own), most tokens of output, and for long requests over, input, output, cached
//! input, cache write. The first line is `cella-prices 1 DATE`. Lines are sorted, which is how they are found.

use std::{collections::BTreeSet, sync::OnceLock};

use crate::{Long, Price};

/// What came with this program.
const EMBEDDED: &str = include_str!("../data/prices.tsv");

/// What a table begins with; the number is that of its form.
const HEAD: &str = "cella-prices 1 ";

/// Fields of a line.
const FIELDS: usize = 13;

/// Hosts of vendors, by the vendors' names in the table. Anybody may run a server and call it `openai`: by its host alone it is known who
/// sends the bill.
const HOSTS: [(&str, &str); 22] = [
    ("api.ai21.com", "ai21"),
    ("api.anthropic.com", "anthropic"),
    ("api.cerebras.ai", "cerebras"),
    ("api.cohere.ai", "cohere"),
    ("api.cohere.com", "cohere"),
    ("api.deepinfra.com", "deepinfra"),
    ("api.deepseek.com", "deepseek"),
    ("api.fireworks.ai", "fireworks_ai"),
    ("api.groq.com", "groq"),
    ("api.hyperbolic.xyz", "hyperbolic"),
    ("api.mistral.ai", "mistral"),
    ("api.moonshot.ai", "moonshot"),
    ("api.novita.ai", "novita"),
    ("api.openai.com", "openai"),
    ("api.sambanova.ai", "sambanova"),
    ("api.studio.nebius.com", "nebius"),
    ("api.together.xyz", "together_ai"),
    ("api.x.ai", "xai"),
    ("dashscope-intl.aliyuncs.com", "dashscope"),
    ("eu.api.openai.com", "openai"),
    ("generativelanguage.googleapis.com", "gemini"),
    ("us.api.openai.com", "openai"),
];

/// Azure gives each of its customers a host.
const AZURE: &str = ".openai.azure.com";

/// A dated table of prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    date: String,
    rows: Vec<Row>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who sends the bill.
    pub vendor: String,
    /// The model, by the vendor's name for it.
    pub model: String,
    /// What it costs, in dollars.
    pub price: Price,
    /// Most tokens of one answer.
    pub max_output: Option<u64>,
}

/// A table that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadTable {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Whose bill a host's answers are on; `None`: nobody's that is known.
#[must_use]
pub fn vendor(host: &str) -> Option<&'static str> {
    let host = host.to_ascii_lowercase();
    if host.ends_with(AZURE) {
        return Some("azure");
    }
    HOSTS.iter().find(|(known, _)| *known == host).map(|(_, vendor)| *vendor)
}

/// Every vendor that is known by its hosts, in order.
pub fn vendors() -> impl Iterator<Item = &'static str> {
    let known: BTreeSet<&str> = HOSTS.iter().map(|(_, vendor)| *vendor).chain(["azure"]).collect();
    known.into_iter()
}

// === impl Table ===

impl Table {
    /// The table that came with this program.
    #[must_use]
    pub fn embedded() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        // It is read by a test; a broken one would be no reason to stop a node.
        TABLE.get_or_init(|| Self::parse(EMBEDDED).unwrap_or(Self { date: String::new(), rows: Vec::new() }))
    }

    /// A table of rows, in any order.
    #[must_use]
    pub fn new(date: impl Into<String>, mut rows: Vec<Row>) -> Self {
        rows.sort_by(|a, b| (&a.vendor, &a.model).cmp(&(&b.vendor, &b.model)));
        rows.dedup_by(|a, b| (&a.vendor, &a.model) == (&b.vendor, &b.model));
        Self { date: date.into(), rows }
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`BadTable`]: another form, a line with another number of fields, one that is no number, lines out of order.
    pub fn parse(text: &str) -> Result<Self, BadTable> {
        let bad = |line: usize, why: &str| BadTable { line, why: why.to_owned() };
        let mut lines = text.lines();
        let date = lines.next().and_then(|head| head.strip_prefix(HEAD));
        let date = date.ok_or_else(|| bad(1, "expected: cella-prices 1 DATE"))?.trim().to_owned();
        let mut rows: Vec<Row> = Vec::new();
        for (at, line) in (2..).zip(lines).filter(|(_, line)| !line.is_empty()) {
            let row = row(line).map_err(|why| bad(at, &why))?;
            let sorted =
                rows.last().is_none_or(|last| (&last.vendor, &last.model) < (&row.vendor, &row.model));
            if !sorted {
                return Err(bad(at, "expected lines in order, each once"));
            }
            rows.push(row);
        }
        Ok(Self { date, rows })
    }

    /// The table as text; reads back as itself.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}{}\n", self.date);
        for row in &self.rows {
            let Price { input, output, cached_input, cache_write, reasoning, long } = row.price;
            let of_long = |of: fn(Long) -> Option<u64>| long.and_then(of);
            let numbers: [Option<u64>; FIELDS - 2] = [
                Some(input),
                Some(output),
                cached_input,
                cache_write,
                reasoning,
                row.max_output,
                of_long(|long| Some(long.over)),
                of_long(|long| Some(long.input)),
                of_long(|long| Some(long.output)),
                of_long(|long| long.cached_input),
                of_long(|long| long.cache_write),
            ];
            text.push_str(&row.vendor);
            text.push('\t');
            text.push_str(&row.model);
            for number in numbers {
                text.push('\t');
                text.extend(number.map(|number| number.to_string()));
            }
            text.push('\n');
        }
        text
    }

    /// The day that it is of.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.date
    }

    /// All of it, in order.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What a vendor's model costs: by its name, or by its name without a date at the end.
    #[must_use]
    pub fn find(&self, vendor: &str, model: &str) -> Option<&Row> {
        let found = |model: &str| {
            let at = self.rows.binary_search_by(|row| (&*row.vendor, &*row.model).cmp(&(vendor, model)));
            at.ok().and_then(|at| self.rows.get(at))
        };
        found(model).or_else(|| undated(model).and_then(found))
    }
}

fn row(line: &str) -> Result<Row, String> {
    let fields: Vec<&str> = line.split('\t').collect();
    if fields.len() != FIELDS {
        return Err(format!("expected {FIELDS} fields between tabs, got {}", fields.len()));
    }
    let number = |at: usize| match fields[at] {
        "" => Ok(None),
        digits => digits.parse::<u64>().map(Some).map_err(|_| format!("field {} is no number", at + 1)),
    };
    let needed = |at: usize| number(at)?.ok_or_else(|| format!("field {} is empty", at + 1));
    let (vendor, model) = (fields[0].to_owned(), fields[1].to_owned());
    if vendor.is_empty() || model.is_empty() {
        return Err("expected a vendor and a model".into());
    }
    let long = match number(8)? {
        None => None,
        Some(over) => Some(Long {
            over,
            input: needed(9)?,
            output: needed(10)?,
            cached_input: number(11)?,
            cache_write: number(12)?,
        }),
    };
    let price = Price {
        input: needed(2)?,
        output: needed(3)?,
        cached_input: number(4)?,
        cache_write: number(5)?,
        reasoning: number(6)?,
        long,
    };
    Ok(Row { vendor, model, price, max_output: number(7)? })
}

/// `gpt-4o` of `gpt-4o-2024-08-06`, `claude-opus-4-5` of `claude-opus-4-5-20251101`.
fn undated(model: &str) -> Option<&str> {
    let is = |text: &str, form: &[u8]| {
        let fits =
            |(byte, form): (u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form };
        text.len() == form.len() && text.bytes().zip(form).all(fits)
    };
    for form in [&b"-0000-00-00"[..], b"-00000000"] {
        let at = model.len().checked_sub(form.len())?;
        if model.is_char_boundary(at) && is(&model[at..], form) {
            return Some(&model[..at]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use cella_dialogue::Usage;

    use super::*;

    fn cost(vendor: &str, model: &str, usage: Usage) -> u64 {
        let row =
            Table::embedded().find(vendor, model).unwrap_or_else(|| panic!("{vendor}/{model} is missing"));
        row.price.cost(usage)
    }

    #[test]
    fn the_table_that_came_along_is_read_and_written_back_as_it_is() {
        let table = Table::parse(EMBEDDED).expect("a table");
        assert!(table.rows().len() > 800, "{}", table.rows().len());
        assert_eq!(table.to_text(), EMBEDDED);
        assert_eq!(table.date().len(), "2026-01-01".len());
    }

    #[test]
    fn known_models_cost_what_their_vendors_say() {
        let usage = Usage { input: 1_000_000, cached_input: 200_000, output: 100_000, ..Usage::default() };
        // 0.8 M x 2.50 + 0.2 M x 1.25 + 0.1 M x 10 dollars.
        assert_eq!(cost("openai", "gpt-4o", usage), 3_250_000);
        assert_eq!(cost("openai", "gpt-4o-2031-01-31", Usage { input: 1, ..Usage::default() }), 3);
        let usage = Usage { input: 100_000, cache_write: 40_000, output: 1_000, ..Usage::default() };
        // 60,000 x 3 + 40,000 x 3.75 + 1,000 x 15 micro-dollars.
        assert_eq!(cost("anthropic", "claude-sonnet-4-5-20990101", usage), 345_000);
        let long = Usage { input: 200_001, output: 1_000, ..Usage::default() };
        // A long request costs more for all of its tokens: 2.50 and 15 rather than 1.25 and 10.
        assert_eq!(cost("gemini", "gemini-2.5-pro", long), 515_003);
        assert_eq!(
            cost("openai", "text-embedding-3-small", Usage { input: 1_000_000, ..Usage::default() }),
            20_000
        );
        assert!(Table::embedded().find("openai", "claude-sonnet-4-5").is_none());
    }

    #[test]
    fn who_sends_the_bill_is_known_by_the_host_alone() {
        assert_eq!(vendor("API.openai.com"), Some("openai"));
        assert_eq!(vendor("acme.openai.azure.com"), Some("azure"));
        for other in ["localhost", "127.0.0.1", "openai.com.evil.example", "api.openai.com.example", ""] {
            assert_eq!(vendor(other), None, "{other}");
        }
    }

    #[test]
    fn a_broken_table_is_refused_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("cella-prices 2 x\n", 1),
            ("cella-prices 1 d\na\tb\t1\n", 2),
            ("cella-prices 1 d\na\tb\t1\tx\t\t\t\t\t\t\t\t\t\n", 2),
            ("cella-prices 1 d\na\tb\t\t1\t\t\t\t\t\t\t\t\t\n", 2),
            ("cella-prices 1 d\na\tb\t1\t1\t\t\t\t\t5\t\t\t\t\n", 2),
            ("cella-prices 1 d\na\tb\t1\t1\t\t\t\t\t\t\t\t\t\na\ta\t1\t1\t\t\t\t\t\t\t\t\t\n", 3),
        ] {
            assert_eq!(Table::parse(text).expect_err(text).line, line, "{text}");
        }
    }
}
