//! Providers of models.

use std::{collections::BTreeMap, ops::Range, path::PathBuf};

use cella_dialogue::Wire;

use super::{BudgetConfig, BudgetPeriod, PriceConfig, ProviderConfig, parse::Reading};
use crate::{Text, codes, shape::Table, units::money};

/// A key that stands in the file itself.
const LITERAL_KEY: &str = "CE1037";
/// A provider of which not enough is said.
const UNKNOWN: &str = "CE1038";
/// A key that would go over the network as it is.
const CLEAR_TEXT: &str = "CE1039";

/// What everybody's provider is, so that its table may be empty: name, wire, address, and where its key is looked for.
const KNOWN: &[(&str, Wire, &str, Option<&str>)] = &[
    ("openai", Wire::OpenaiResponses, "https://api.openai.com/v1", Some("env:OPENAI_API_KEY")),
    ("anthropic", Wire::AnthropicMessages, "https://api.anthropic.com/v1", Some("env:ANTHROPIC_API_KEY")),
    ("ollama", Wire::OpenaiChat, "http://127.0.0.1:11434/v1", None),
];

impl Reading<'_> {
    pub(super) fn providers(&mut self, root: Table<'_>) -> BTreeMap<String, ProviderConfig> {
        let named = root.named("providers").into_iter();
        let read = named
            .filter_map(|(name, table, place)| Some((name.to_owned(), self.provider(name, table, place)?)));
        read.collect()
    }

    pub(super) fn prices(&mut self, root: Table<'_>) -> BTreeMap<String, PriceConfig> {
        let mut prices = BTreeMap::new();
        for (model, table, place) in root.named("prices") {
            if !model.contains('/') {
                let fix = "write \"provider/model\", or \"provider/*\" for all of one provider".to_owned();
                self.error(
                    place.clone(),
                    codes::WRONG_VALUE,
                    format!("`{model}` names no model of a provider"),
                    fix,
                );
            }
            let [input, output, cached_input, cache_write] =
                ["input", "output", "cached_input", "cache_write"].map(|key| self.money(table, key));
            let (Some(input), Some(output)) = (input, output) else {
                let fix = "add input and output, each for a million tokens: input = \"2.50\"".to_owned();
                self.error(place, UNKNOWN, format!("the price of `{model}` is not said"), fix);
                continue;
            };
            prices.insert(model.to_owned(), PriceConfig { input, output, cached_input, cache_write });
        }
        prices
    }

    fn money(&mut self, table: Table<'_>, key: &str) -> Option<u64> {
        money(table.text(key)).unwrap_or_else(|text| {
            let fix = "write \"2.50\"".to_owned();
            self.error(table.place(key), codes::WRONG_VALUE, format!("`{text}` is no amount of money"), fix);
            None
        })
    }

    pub(super) fn budgets(&mut self, root: Table<'_>) -> BTreeMap<String, BudgetConfig> {
        let mut budgets = BTreeMap::new();
        for (account, table, place) in root.named("budgets") {
            if account.split('/').any(|part| part.trim().is_empty()) || account.contains(':') {
                let fix = "write it from the organisation down: \"acme/sales/invoices\"".to_owned();
                self.error(place, codes::WRONG_VALUE, format!("`{account}` is no path of accounts"), fix);
            }
            let money_micros = self.money(table, "money");
            let per = match table.text("per") {
                Some("day") => BudgetPeriod::Day,
                Some("month") => BudgetPeriod::Month,
                _ => BudgetPeriod::Total,
            };
            let (tokens, calls) = (table.count("tokens").map(u64::from), table.count("calls").map(u64::from));
            budgets.insert(account.to_owned(), BudgetConfig { money_micros, tokens, calls, per });
        }
        budgets
    }

    fn provider(&mut self, name: &str, table: Table<'_>, place: Range<usize>) -> Option<ProviderConfig> {
        let known = KNOWN.iter().find(|(known, ..)| *known == name);
        let wire = table.text("wire").and_then(Wire::parse).or(known.map(|(_, wire, ..)| *wire));
        let Some(wire) = wire else {
            let fix = "add wire = \"openai-chat\", \"openai-responses\" or \"anthropic-messages\"".to_owned();
            self.error(place, UNKNOWN, format!("how the provider `{name}` is spoken to is not said"), fix);
            return None;
        };
        if wire == Wire::Cassette {
            return self.cassette(name, table, place);
        }
        self.only_for(name, table, "file", "a provider whose wire is cassette");
        let Some(url) = table.text("url").or(known.map(|(_, _, url, _)| *url)) else {
            let fix = "add url = \"https://host/v1\"".to_owned();
            self.error(place, UNKNOWN, format!("where the provider `{name}` is is not said"), fix);
            return None;
        };
        let clear = match url.split_once("://") {
            Some(("https", rest)) if !rest.is_empty() => false,
            Some(("http", rest)) if !rest.is_empty() => !is_loopback(rest),
            _ => {
                let fix = "write the whole address: https://host/v1".to_owned();
                self.error(
                    table.place("url"),
                    codes::WRONG_VALUE,
                    format!("`{url}` is no http or https address"),
                    fix,
                );
                return None;
            }
        };
        let key = table.text("key").or(known.and_then(|(.., key)| *key));
        if let Some(text) = key
            && matches!(Text::read(text), Text::Plain(_))
        {
            let fix =
                "write where it is: env:NAME, file:PATH, cmd:PROGRAM or vault:NAME (cella secret set NAME)"
                    .to_owned();
            self.error(
                table.place("key"),
                LITERAL_KEY,
                format!("the key of `{name}` stands in the file"),
                fix,
            );
        }
        // A header that is looked up somewhere is a secret as well.
        let looked_up = |(_, value, _): &(&str, &str, _)| !matches!(Text::read(value), Text::Plain(_));
        let secret = key.is_some() || table.text_map("headers").iter().any(looked_up);
        if clear && secret && table.flag("clear_text") != Some(true) {
            let fix = "use https://, or clear_text = true where the network between is trusted".to_owned();
            let text = format!("the key of `{name}` would go to {url} in clear text");
            self.error(table.place("url"), CLEAR_TEXT, text, fix);
        }
        Some(ProviderConfig {
            wire,
            url: url.to_owned(),
            key: key.map(str::to_owned),
            headers: self.values(name, table, "headers"),
            concurrency: table.count("concurrency"),
            rate: self.rate_of(name, table, "rate"),
            file: None,
        })
    }

    fn cassette(&mut self, name: &str, table: Table<'_>, place: Range<usize>) -> Option<ProviderConfig> {
        for key in ["url", "key", "headers", "rate"] {
            self.only_for(name, table, key, "a provider over a network");
        }
        let Some(file) = table.text("file") else {
            let fix = "add file = \"FILE\", the recording".to_owned();
            self.error(place, UNKNOWN, format!("the recording of `{name}` is not named"), fix);
            return None;
        };
        Some(ProviderConfig {
            wire: Wire::Cassette,
            url: String::new(),
            key: None,
            headers: Vec::new(),
            concurrency: None,
            rate: None,
            file: Some(PathBuf::from(file)),
        })
    }
}

/// True for the machine itself: what is sent there no network sees.
fn is_loopback(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) { host } else { authority }
    });
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<core::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn read(text: &str) -> Result<Config, Vec<&'static str>> {
        let codes = |faults: crate::Diagnostics| faults.0.iter().map(|fault| fault.code).collect();
        Config::parse("cella.toml", text).map(|(config, _)| config).map_err(codes)
    }

    #[test]
    fn known_providers_need_no_more_than_their_name() {
        let config = read("[providers.openai]\n[providers.anthropic]\n[providers.ollama]\n").expect("read");
        assert_eq!(config.providers["openai"].key.as_deref(), Some("env:OPENAI_API_KEY"));
        assert_eq!(config.providers["anthropic"].wire, Wire::AnthropicMessages);
        assert_eq!(config.providers["ollama"].key, None);
    }

    #[test]
    fn a_key_stands_somewhere_else_and_is_not_sent_in_clear_text() {
        let refused = |text: &str| read(text).expect_err("refused");
        assert_eq!(refused("[providers.openai]\nkey = \"sk-123\"\n"), [LITERAL_KEY]);
        let own = "[providers.own]\nwire = \"openai-chat\"\nkey = \"env:K\"\n";
        assert_eq!(refused(&format!("{own}url = \"http://10.0.0.1/v1\"\n")), [CLEAR_TEXT]);
        assert!(read(&format!("{own}url = \"http://10.0.0.1/v1\"\nclear_text = true\n")).is_ok());
        let header = "[providers.own]\nwire = \"openai-chat\"\nurl = \"http://10.0.0.1/v1\"\nheaders = { authorization = \"env:K\" }\n";
        assert_eq!(refused(header), [CLEAR_TEXT]);
        for here in ["http://127.0.0.1:80/v1", "http://localhost/v1", "http://[::1]:8000/v1"] {
            assert!(read(&format!("{own}url = \"{here}\"\n")).is_ok(), "{here}");
        }
    }

    #[test]
    fn prices_and_budgets_are_amounts_of_money_and_nothing_else() {
        let text = "[prices.\"openai/*\"]\ninput = \"2.5\"\noutput = \"10\"\n[budgets.\"acme/sales\"]\nmoney = \"0.000001\"\nper = \"day\"\n";
        let config = read(text).expect("read");
        assert_eq!(
            (config.prices["openai/*"].input, config.prices["openai/*"].output),
            (2_500_000, 10_000_000)
        );
        assert_eq!(config.budgets["acme/sales"].money_micros, Some(1));
        let refused = |text: &str| read(text).expect_err("refused");
        assert_eq!(refused("[budgets.a]\nmoney = \"2,50\"\n"), [codes::WRONG_VALUE]);
        assert_eq!(refused("[budgets.a]\nmoney = \"0.0000001\"\n"), [codes::WRONG_VALUE]);
        assert_eq!(refused("[budgets.\"a//b\"]\ntokens = 1\n"), [codes::WRONG_VALUE]);
        assert_eq!(refused("[prices.gpt]\ninput = \"1\"\noutput = \"1\"\n"), [codes::WRONG_VALUE]);
        assert_eq!(refused("[prices.\"a/b\"]\ninput = \"1\"\n"), [UNKNOWN]);
    }

    #[test]
    fn what_is_not_said_is_asked_for() {
        let refused = |text: &str| read(text).expect_err("refused");
        assert_eq!(refused("[providers.own]\n"), [UNKNOWN]);
        assert_eq!(refused("[providers.own]\nwire = \"openai-chat\"\n"), [UNKNOWN]);
        assert_eq!(refused("[providers.own]\nwire = \"cassette\"\n"), [UNKNOWN]);
        assert_eq!(
            refused("[providers.own]\nwire = \"openai-chat\"\nurl = \"host/v1\"\n"),
            [codes::WRONG_VALUE]
        );
        assert_eq!(
            refused("[providers.r]\nwire = \"cassette\"\nfile = \"f\"\nurl = \"https://x\"\n"),
            ["CE1006"]
        );
    }
}
