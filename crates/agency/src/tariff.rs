//! What a model costs, and who says so: the configuration, a table beside it, the table that came along.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use cella_agreement::{Long, Price, Row, Table, vendor, vendors};
use cella_contract::{Config, PriceConfig};
use cella_dialogue::Wire;
use cella_event::Map;
use cella_model::Provider;
use serde_json::Value;

/// The operator's own table, beside `cella.toml`.
pub const PRICES_FILE: &str = "prices.tsv";

/// The words for long requests in LiteLLM's list, and what they mean.
const LONG: [(&str, u64); 4] = [("272k", 272_000), ("200k", 200_000), ("128k", 128_000), ("100k", 100_000)];

/// Prices by who says them.
#[derive(Clone, Debug)]
pub struct Tariff {
    said: Arc<BTreeMap<String, Price>>,
    own: Option<Result<Arc<Table>, String>>,
}

/// A price and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The price.
    pub price: Price,
    /// Who says so, for people.
    pub from: String,
    /// The same, for the event that settles: the row, and the day of its table.
    pub row: Map,
}

/// A list of prices that cannot be taken over.
#[derive(Debug, thiserror::Error)]
#[error("expected LiteLLM's list of models in JSON: {why}")]
pub struct NoList {
    /// What is wrong with it.
    pub why: String,
}

/// The host of a provider's URL.
#[must_use]
pub fn host(url: &str) -> Option<String> {
    // Which protocol it speaks has no part in that.
    let provider = Provider::at("", Wire::OpenaiChat, url).ok()?;
    Some(provider.host().to_owned())
}

// === impl Tariff ===

impl Tariff {
    /// What a configuration in the directory `base` says. Blocking: the table beside it is read.
    #[must_use]
    pub fn new(config: &Config, base: &Path) -> Self {
        let said = config.prices.iter().map(|(model, price)| {
            let PriceConfig { input, output, cached_input, cache_write } = *price;
            (model.clone(), Price { input, output, cached_input, cache_write, ..Price::default() })
        });
        Self { said: Arc::new(said.collect()), own: own(&base.join(PRICES_FILE)) }
    }

    /// Why the operator's table is not used, where there is one that cannot be read. Then no table is: a price that was meant to be
    /// replaced would count.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.own.as_ref().and_then(|own| own.as_ref().err()).map(String::as_str)
    }

    /// The table in use; `None` where the operator's cannot be read.
    #[must_use]
    pub fn table(&self) -> Option<&Table> {
        match &self.own {
            None => Some(Table::embedded()),
            Some(own) => own.as_deref().ok(),
        }
    }

    /// What a provider's model costs. `host`: where the provider is; `None`: nobody sends a bill for it.
    #[must_use]
    pub fn quote(&self, provider: &str, host: Option<&str>, model: &str) -> Option<Quote> {
        let (name, all) = (format!("{provider}/{model}"), format!("{provider}/*"));
        if let Some((row, price)) = self.said.get_key_value(&name).or_else(|| self.said.get_key_value(&all)) {
            let from = format!("[prices.\"{row}\"] of the configuration");
            return Some(Quote { price: *price, from, row: Map::new().with("row", row.clone()) });
        }
        let table = self.table()?;
        let Row { vendor, model, price, .. } = table.find(vendor(host?)?, model)?;
        let which = if self.own.is_some() { PRICES_FILE } else { "the table that came along" };
        Some(Quote {
            price: *price,
            from: format!("{which}, of {}", table.date()),
            row: Map::new().with("row", format!("{vendor}/{model}")).with("table", table.date().to_owned()),
        })
    }
}

fn own(path: &Path) -> Option<Result<Arc<Table>, String>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return None,
        Err(fault) => return Some(Err(format!("{}: {fault}", path.display()))),
    };
    Some(Table::parse(&text).map(Arc::new).map_err(|fault| format!("{}: {fault}", path.display())))
}

/// A table of LiteLLM's list (`model_prices_and_context_window.json`): models that answer with text or vectors, of vendors that are known
/// by their hosts, and that cost something.
///
/// # Errors
/// [`NoList`].
pub fn table_of_list(json: &str, date: &str) -> Result<Table, NoList> {
    let models: serde_json::Map<String, Value> =
        serde_json::from_str(json).map_err(|fault| NoList { why: fault.to_string() })?;
    let rows: Vec<Row> = models.iter().filter_map(|(key, model)| row(key, model)).collect();
    if rows.is_empty() {
        return Err(NoList { why: "it has no model with a price".into() });
    }
    Ok(Table::new(date, rows))
}

fn row(key: &str, model: &Value) -> Option<Row> {
    if !matches!(model["mode"].as_str()?, "chat" | "completion" | "responses" | "embedding") {
        return None;
    }
    // Two ways to one bill.
    let vendor = match model["litellm_provider"].as_str()? {
        "cohere_chat" => "cohere",
        vendor => vendor,
    };
    if !vendors().any(|known| known == vendor) {
        return None;
    }
    let cost = |name: &str| pico(&model.get(name)?.as_number()?.to_string());
    let input = cost("input_cost_per_token")?;
    let output = cost("output_cost_per_token").unwrap_or_default();
    // What is said to cost nothing is billed in another way.
    if input == 0 && output == 0 {
        return None;
    }
    let long = LONG.into_iter().find_map(|(word, over)| {
        let cost = |what: &str| cost(&format!("{what}_above_{word}_tokens"));
        Some(Long {
            over,
            input: cost("input_cost_per_token")?,
            output: cost("output_cost_per_token").unwrap_or(output),
            cached_input: cost("cache_read_input_token_cost"),
            cache_write: cost("cache_creation_input_token_cost"),
        })
    });
    let price = Price {
        input,
        output,
        cached_input: cost("cache_read_input_token_cost"),
        // Some have a zero where nothing is meant.
        cache_write: cost("cache_creation_input_token_cost").filter(|write| *write > 0),
        reasoning: cost("output_cost_per_reasoning_token").filter(|reasoning| *reasoning != output),
        long,
    };
    Some(Row {
        vendor: vendor.to_owned(),
        model: key.strip_prefix(&format!("{vendor}/")).unwrap_or(key).to_owned(),
        price,
        max_output: model["max_output_tokens"].as_u64(),
    })
}

/// The number in a JSON text, in millionths of a millionth, rounded up: digits, never floats.
fn pico(text: &str) -> Option<u64> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = [whole, part].concat();
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u128 = all.parse().ok()?;
    let shift = exponent.checked_add(12)?.checked_sub(i32::try_from(part.len()).ok()?)?;
    let pico = if shift >= 0 {
        number.checked_mul(10_u128.checked_pow(shift.unsigned_abs())?)?
    } else {
        number.div_ceil(10_u128.checked_pow(shift.unsigned_abs())?)
    };
    u64::try_from(pico).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_from_their_digits() {
        for (text, expected) in [
            ("2.5e-06", Some(2_500_000)),
            ("0.0000025", Some(2_500_000)),
            ("1E-13", Some(1)),
            ("3", Some(3_000_000_000_000)),
            ("0.0", Some(0)),
            ("-1", None),
            ("1e300", None),
            ("", None),
        ] {
            assert_eq!(pico(text), expected, "{text}");
        }
    }

    #[test]
    fn a_list_becomes_a_table_of_what_can_be_billed() {
        let list = r#"{
            "sample_spec": {"mode": "one of: chat", "input_cost_per_token": "a text"},
            "gpt-x": {"mode": "chat", "litellm_provider": "openai", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
                "input_cost_per_token_above_200k_tokens": 2.5e-06, "max_output_tokens": 9},
            "openai/gpt-y": {"mode": "responses", "litellm_provider": "openai", "input_cost_per_token": 1e-06},
            "free": {"mode": "chat", "litellm_provider": "openai", "input_cost_per_token": 0, "output_cost_per_token": 0.0},
            "image": {"mode": "image_generation", "litellm_provider": "openai", "input_cost_per_token": 1e-06},
            "elsewhere": {"mode": "chat", "litellm_provider": "nobody", "input_cost_per_token": 1e-06}}"#;
        let table = table_of_list(list, "2026-01-02").expect("a table");
        let names: Vec<&str> = table.rows().iter().map(|row| row.model.as_str()).collect();
        assert_eq!(names, ["gpt-x", "gpt-y"]);
        let price = table.rows()[0].price;
        assert_eq!(
            (price.input, price.output, price.long.expect("long").over),
            (1_250_000, 10_000_000, 200_000)
        );
        assert_eq!(Table::parse(&table.to_text()), Ok(table));
        assert!(table_of_list("{}", "d").is_err() && table_of_list("[", "d").is_err());
    }

    #[test]
    fn the_configuration_counts_before_any_table_and_a_broken_table_for_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let host = Some("api.openai.com");
        let none = Config::parse("cella.toml", "").expect("a configuration").0;
        let tariff = Tariff::new(&none, dir.path());
        let quote = tariff.quote("work", host, "gpt-4o").expect("a price");
        assert_eq!((quote.price.input, quote.row.text("row")), (2_500_000, Some("openai/gpt-4o")));
        assert!(quote.row.text("table").is_some());
        // A server of one's own sends no bill, whatever its models are called.
        assert_eq!(tariff.quote("openai", Some("localhost"), "gpt-4o"), None);

        let text = "[prices.\"work/*\"]\ninput = \"1\"\noutput = \"2\"\n";
        let said = Config::parse("cella.toml", text).expect("a configuration").0;
        let quote = Tariff::new(&said, dir.path()).quote("work", host, "gpt-4o").expect("a price");
        assert_eq!((quote.price.input, quote.row.text("row")), (1_000_000, Some("work/*")));

        let own = "cella-prices 1 2030-01-01\nopenai\tgpt-4o\t7\t8\t\t\t\t\t\t\t\t\t\n";
        std::fs::write(dir.path().join(PRICES_FILE), own).expect("written");
        let tariff = Tariff::new(&none, dir.path());
        assert_eq!(tariff.quote("work", host, "gpt-4o").expect("a price").price.input, 7);
        assert_eq!(tariff.quote("work", host, "gpt-5"), None);
        std::fs::write(dir.path().join(PRICES_FILE), "broken").expect("written");
        let tariff = Tariff::new(&none, dir.path());
        assert!(tariff.fault().expect("a fault").contains("line 1"));
        assert_eq!(tariff.quote("work", host, "gpt-4o"), None);
    }
}
