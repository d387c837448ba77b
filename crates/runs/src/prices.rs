//! `cella prices`: what models cost, who says so, and newer tables.

use std::{fs, path::Path};

use cella_agency::{PRICES_FILE, Quote, Tariff, table_of_list};
use cella_agreement::{Price, Row, Table};
use serde_json::{Value, json};

use crate::{
    args::{self, Global},
    codes,
    exit::{Code, Outcome, Stop},
    print::Printer,
    target,
};

/// Micro-units in a dollar.
const MICROS: u64 = 1_000_000;

/// Shows prices, or takes newer ones over.
///
/// # Errors
/// How it ends, for people.
pub fn run(args: &args::Prices, global: &Global, printer: Printer) -> Outcome {
    let config = target::config_path(global);
    let base = config.parent().unwrap_or_else(|| Path::new("")).to_path_buf();
    if let Some(from) = &args.from {
        let to = args.to.clone().unwrap_or_else(|| base.join(PRICES_FILE));
        return update(from, &to, args.date.as_deref(), printer);
    }
    let loaded = cella_node::load(&config)?;
    let tariff = Tariff::new(&loaded.config, &base);
    if let Some(why) = tariff.fault() {
        return Err(Stop::new(
            Code::Config,
            codes::PRICES,
            format!("a table of prices cannot be read: {why}"),
        )
        .fix(format!("mend {PRICES_FILE}, write it anew (cella prices --from FILE), or remove it")));
    }
    let table = tariff.table().unwrap_or_else(|| Table::embedded());
    match &args.model {
        Some(model) => match model.split_once('/') {
            Some((provider, name)) => {
                let url = loaded.config.providers.get(provider).map(|provider| provider.url.clone());
                one(&tariff, model, (provider, name), url.as_deref(), printer)
            }
            None => listed(table, Some(model), printer),
        },
        None => listed(table, None, printer),
    }
}

fn one(
    tariff: &Tariff,
    model: &str,
    (provider, name): (&str, &str),
    url: Option<&str>,
    printer: Printer,
) -> Outcome {
    let host = url.and_then(cella_agency::host);
    let Some(Quote { price, from, .. }) = tariff.quote(provider, host.as_deref(), name) else {
        let why = match (url, host.as_deref().and_then(cella_agreement::vendor)) {
            (None, _) => format!("the configuration has no provider {provider}"),
            (Some(url), None) => format!("nobody is known to send a bill for {url}"),
            (Some(_), Some(vendor)) => format!("the table has no {vendor} model {name}"),
        };
        return Err(Stop::new(
            Code::Failed,
            codes::NO_PRICE,
            format!("nobody knows what {model} costs: {why}"),
        )
        .fix(match url {
            None => format!("add [providers.{provider}] to the configuration"),
            Some(_) => {
                format!("say it: [prices.\"{model}\"] with input and output, in dollars for a million tokens")
            }
        }));
    };
    if printer.is_json() {
        printer.json(&json!({ "schema": "cella/v1", "model": model, "from": from, "price": of(&price) }));
        return Ok(Code::Ok);
    }
    printer.line(format!("{model}: dollars for a million tokens, by {from}"));
    for (what, amount) in named(&price) {
        printer.line(format!("  {what:<26} {}", dollars(amount)));
    }
    Ok(Code::Ok)
}

fn listed(table: &Table, vendor: Option<&str>, printer: Printer) -> Outcome {
    let rows: Vec<&Row> =
        table.rows().iter().filter(|row| vendor.is_none_or(|vendor| row.vendor == vendor)).collect();
    if let Some(vendor) = vendor.filter(|_| rows.is_empty()) {
        let known: Vec<&str> = cella_agreement::vendors().collect();
        return Err(Stop::new(Code::Usage, codes::NO_PRICE, format!("the table has no vendor {vendor}"))
            .fix(format!("name a model (PROVIDER/MODEL) or one of {}", known.join(", "))));
    }
    if printer.is_json() {
        let rows = rows.iter().map(|row| {
            json!({ "vendor": row.vendor, "model": row.model, "price": of(&row.price), "max_output": row.max_output })
        });
        let rows: Vec<Value> = rows.collect();
        printer
            .json(&json!({ "schema": "cella/v1", "date": table.date(), "currency": "USD", "models": rows }));
        return Ok(Code::Ok);
    }
    let mut lines = vec![["VENDOR", "MODEL", "INPUT", "OUTPUT", "CACHED"].map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        let Price { input, output, cached_input, .. } = row.price;
        let cached = cached_input.map(dollars).unwrap_or_default();
        vec![row.vendor.clone(), row.model.clone(), dollars(input), dollars(output), cached]
    }));
    printer.table(&lines);
    printer.note(format!("{} models, dollars for a million tokens, as of {}", rows.len(), table.date()));
    Ok(Code::Ok)
}

fn update(from: &Path, to: &Path, date: Option<&str>, printer: Printer) -> Outcome {
    let unreadable = |why: String| {
        Stop::new(Code::Failed, codes::PRICES, format!("{} gives no prices: {why}", from.display())).fix(
            "name LiteLLM's list: model_prices_and_context_window.json of its repository, or \
             model_prices_and_context_window_backup.json of its Python package",
        )
    };
    let today = jiff::Timestamp::now().to_string();
    let date = date.unwrap_or_else(|| &today[..10]);
    if date.parse::<jiff::civil::Date>().is_err() {
        return Err(Stop::new(Code::Usage, codes::USAGE, format!("{date} is no day")).fix("write YYYY-MM-DD"));
    }
    let text = fs::read_to_string(from).map_err(|fault| unreadable(fault.to_string()))?;
    let table = table_of_list(&text, date).map_err(|fault| unreadable(fault.to_string()))?;
    // A half-written table would stop every budget in money.
    let beside = to.with_extension("tsv.new");
    let written = fs::write(&beside, table.to_text()).and_then(|()| fs::rename(&beside, to));
    written.map_err(|fault| {
        Stop::new(Code::Failed, codes::PRICES, format!("{} cannot be written: {fault}", to.display()))
            .fix("name another place with --to, or make room")
    })?;
    if printer.is_json() {
        printer
            .json(&json!({ "schema": "cella/v1", "file": to, "models": table.rows().len(), "date": date }));
    } else {
        printer.line(format!("{}: {} models, as of {date}", to.display(), table.rows().len()));
        printer.note("  a running node reads it with its configuration: kill -HUP, or cella up again");
    }
    Ok(Code::Ok)
}

fn named(price: &Price) -> Vec<(&'static str, u64)> {
    let long = price.long;
    let all = [
        ("input", Some(price.input)),
        ("output", Some(price.output)),
        ("cached input", price.cached_input),
        ("input into the cache", price.cache_write),
        ("reasoning", price.reasoning),
        ("input of long requests", long.map(|long| long.input)),
        ("output of long requests", long.map(|long| long.output)),
    ];
    all.into_iter().filter_map(|(what, price)| Some((what, price?))).collect()
}

fn of(price: &Price) -> Value {
    let named = named(price).into_iter().map(|(what, price)| (what.replace(' ', "_"), price.into()));
    let mut map: serde_json::Map<String, Value> = named.collect();
    if let Some(long) = price.long {
        map.insert("long_over".into(), long.over.into());
    }
    map.into()
}

/// Micro-dollars as dollars, without zeros that say nothing.
fn dollars(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / MICROS, micros % MICROS);
    let text = text.trim_end_matches('0');
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}.{part:0<2}")
}

#[cfg(test)]
mod tests {
    use super::dollars;

    #[test]
    fn dollars_have_two_places_or_as_many_as_they_need() {
        let all =
            [(2_500_000, "2.50"), (0, "0.00"), (75_000, "0.075"), (1, "0.000001"), (15_000_000, "15.00")];
        for (micros, text) in all {
            assert_eq!(dollars(micros), text);
        }
    }
}
