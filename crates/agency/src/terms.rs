//! Old runs under other budgets and prices: what would have been refused, and what it would have cost.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

use cella_agreement::{Amounts, Book, Budget, Limits, Resource, Window};
use cella_contract::{BudgetPeriod, Config};
use cella_dialogue::Usage;
use cella_event::{Event, Kind, Map, Micros, RunId};
use cella_ledger::{Filter, Reader};
use cella_pursuit::{LoadError, RUN_TOKENS, SPENDING};
use serde_json::{Value, json};

use crate::{Tariff, host};

/// The budgets of a configuration.
#[must_use]
pub(crate) fn budgets(config: &Config) -> BTreeMap<String, Budget> {
    let budgets = config.budgets.iter().map(|(account, budget)| {
        let limits = Limits {
            money_micros: budget.money_micros,
            tokens: budget.tokens,
            calls: budget.calls,
            ..Limits::default()
        };
        let window = match budget.per {
            BudgetPeriod::Total => Window::Total,
            BudgetPeriod::Day => Window::Day,
            BudgetPeriod::Month => Window::Month,
        };
        (account.clone(), Budget { limits, window })
    });
    budgets.collect()
}

/// What the runs of a ledger would have met under the budgets and prices of a configuration in the directory `base`. What was spent
/// before `since` counts, and is not tested. Blocking.
///
/// # Errors
/// The ledger cannot be read.
pub fn under_agreement(
    reader: &Reader,
    config: &Config,
    base: &Path,
    since: Micros,
) -> Result<Value, LoadError> {
    let of_runs = Limits { tokens: Some(RUN_TOKENS), ..Limits::default() };
    let mut test = Test {
        book: Book::new(budgets(config), of_runs),
        tariff: Tariff::new(config, base),
        config,
        since,
        now: Micros(0),
        asked: HashMap::new(),
        stopped: HashSet::new(),
        tested: HashSet::new(),
        refused: Vec::new(),
        cost: Cost::default(),
    };
    let filter = Filter { kinds: SPENDING.to_vec(), limit: Some(usize::MAX), ..Filter::default() };
    for entry in reader.query(&filter).map_err(LoadError::from)?.entries {
        test.take(&entry.event);
    }
    Ok(test.answer())
}

struct Test<'c> {
    book: Book,
    tariff: Tariff,
    config: &'c Config,
    since: Micros,
    now: Micros,
    /// Who has the open question of a run: provider and model.
    asked: HashMap<RunId, (String, String)>,
    /// Runs that would have gone another way: what came after in them says nothing.
    stopped: HashSet<RunId>,
    tested: HashSet<RunId>,
    refused: Vec<Value>,
    cost: Cost,
}

/// Micro-units of the currency.
#[derive(Default)]
struct Cost {
    was: u64,
    would_be: u64,
    /// Answers that have no price now.
    unknown: u64,
}

impl Test<'_> {
    fn take(&mut self, event: &Event) {
        let Some(run) = &event.run else { return };
        self.now = event.time;
        let parent = event.body.text("parent").and_then(|parent| RunId::new(parent).ok());
        if self.stopped.contains(run) || parent.is_some_and(|parent| self.stopped.contains(&parent)) {
            self.stopped.insert(run.clone());
            return;
        }
        let counts = event.time >= self.since;
        match &event.kind {
            Kind::ModelIntended | Kind::CallIntended => {
                if event.kind == Kind::ModelIntended {
                    let text = |name: &str| event.body.text(name).unwrap_or_default().to_owned();
                    self.asked.insert(run.clone(), (text("provider"), text("model")));
                }
                if let Some(reserve) = event.body.map("reserve").filter(|_| counts) {
                    self.tested.insert(run.clone());
                    if let Err(exhausted) = self.book.check(run, Amounts::from_map(reserve), event.time) {
                        self.refused.push(json!({
                            "run": run.as_str(), "seq": event.seq.0, "account": exhausted.account,
                            "resource": exhausted.resource.field(), "limit": exhausted.limit, "why": exhausted.to_string(),
                        }));
                        self.stopped.insert(run.clone());
                        return;
                    }
                }
            }
            Kind::ModelCompleted | Kind::ModelFailed if counts => self.priced(run, &event.body),
            _ => {}
        }
        self.book.fold(event);
    }

    fn priced(&mut self, run: &RunId, body: &Map) {
        let was = body.map("spent").map(Amounts::from_map).unwrap_or_default().money_micros;
        let Some(usage) = body.map("usage").map(usage) else {
            self.cost.was += was;
            self.cost.would_be += was;
            return;
        };
        self.cost.was += was;
        let quote = self.asked.get(run).and_then(|(provider, model)| {
            let url = self.config.providers.get(provider).map(|provider| provider.url.as_str());
            self.tariff.quote(provider, url.and_then(host).as_deref(), model)
        });
        match quote {
            Some(quote) => self.cost.would_be += quote.price.cost(usage),
            // A recording costs nothing, and keeps doing so.
            None if was == 0 => {}
            None => {
                self.cost.would_be += was;
                self.cost.unknown += 1;
            }
        }
    }

    fn answer(&self) -> Value {
        let accounts = self.config.budgets.keys().map(|account| {
            let left = self.book.left(account, self.now);
            let of = |amount: &dyn Fn(Resource) -> Option<u64>| -> Value {
                let pairs =
                    Resource::ALL.into_iter().filter_map(|resource| Some((resource, amount(resource)?)));
                pairs
                    .map(|(resource, amount)| (resource.field().to_owned(), Value::from(amount)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            };
            json!({
                "account": account, "limits": of(&|resource| left.limits.of(resource)),
                "spent": of(&|resource| Some(left.spent.of(resource)).filter(|n| *n > 0)),
            })
        });
        let accounts: Vec<Value> = accounts.collect();
        json!({
            "schema": "cella/v1",
            "runs_tested": self.tested.len(),
            "refused": self.refused,
            "accounts": accounts,
            "cost_micros": { "was": self.cost.was, "would_be": self.cost.would_be, "answers_without_price": self.cost.unknown },
            // Reservations are as they were made; what a run would have done instead nobody knows.
            "exact": "up to the first refusal of each run; reservations as they were made",
        })
    }
}

fn usage(map: &Map) -> Usage {
    let count = |name: &str| map.int(name).and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
    Usage {
        input: count("input"),
        cached_input: count("cached_input"),
        cache_write: count("cache_write"),
        output: count("output"),
        reasoning: count("reasoning"),
    }
}
