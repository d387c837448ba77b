//! Providers that can be asked.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use cella_contract::{Config, ProviderConfig};
use cella_dialogue::{Answer, Failure, FailureClass, OutputSchema, Relay, Request, Stop, Turn, Usage, Wire};
use cella_event::{Int, Map};
use cella_kernel::{Target, request_digest};
use cella_model::{
    Cassette, Deadlines, Delta, NotCarried, Provider, Relayed, Reply, Seen, Wants, ask, encode, input_tokens,
    relayed, translated,
};
use cella_pursuit::{AskOrder, Asked, Cost, Cut, Meter, Prepared};
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Ears, Heard, Tariff, pace::Pace};

/// Requests to one provider at the same time where the configuration does not say. Stops one node from running into every provider's
/// limit of its own; further ones wait.
const CONCURRENCY: u32 = 16;

/// Is told what comes in.
type Hears<'h> = &'h (dyn Fn(Heard) + Sync);

/// Tokens of output that are reserved where an agent says nothing.
const OUTPUT_TOKENS: u64 = 8_192;

/// Looks up where a key is: `env:NAME` and so on. `Err`: why there is none, without the key in it.
pub type Keys = Arc<dyn Fn(String, String) -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// The providers of a configuration.
#[derive(Clone)]
pub struct Models {
    pub(crate) providers: Arc<HashMap<String, Known>>,
    tariff: Tariff,
    pub(crate) keys: Keys,
}

pub(crate) struct Known {
    pub(crate) talks: Talks,
    pub(crate) key: Option<String>,
    gate: Semaphore,
    pace: Option<Mutex<Pace>>,
}

pub(crate) enum Talks {
    Provider(Box<Provider>),
    Recording(Cassette),
    /// What is wrong with it. Said when it is asked, so that one of ten providers does not keep the node from starting.
    Nobody(String),
}

impl Known {
    /// Waits for its turn: not too many at the same time, not too many in a while.
    async fn place(&self, meter: &Meter) -> Result<SemaphorePermit<'_>, Failure> {
        let mut cut = meter.cut.clone();
        let turn = async {
            // The node never closes it.
            let place = self.gate.acquire().await.ok();
            while let Some(pace) = &self.pace {
                let taken = pace.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
                match taken {
                    Ok(()) => break,
                    Err(wait) => tokio::time::sleep(wait).await,
                }
            }
            place
        };
        let cancelled = || failure(FailureClass::Cancelled, "the run was given up before it was asked");
        tokio::select! {
            place = turn => place.ok_or_else(cancelled),
            Ok(_wanted) = cut.wait_for(Option::is_some) => Err(cancelled()),
        }
    }
}

impl Talks {
    /// Where answers come from.
    fn host(&self) -> Option<&str> {
        match self {
            Self::Provider(provider) => Some(provider.host()),
            Self::Recording(_) | Self::Nobody(_) => None,
        }
    }
}

// === impl Models ===

impl Models {
    /// The providers of a configuration that stands in the directory `base`. Blocking: recordings are read.
    #[must_use]
    pub fn new(config: &Config, base: &Path, keys: Keys) -> Self {
        let known = config.providers.iter().map(|(name, config)| {
            let places = config.concurrency.unwrap_or(CONCURRENCY).max(1);
            let gate = Semaphore::new(places as usize);
            let pace = config.rate.map(|rate| Mutex::new(Pace::new(rate)));
            (name.clone(), Known { talks: talks(name, config, base), key: config.key.clone(), gate, pace })
        });
        let tariff = Tariff::new(config, base);
        if let Some(why) = tariff.fault() {
            tracing::error!(
                why,
                "a table of prices cannot be read: budgets in money refuse models whose price stands there"
            );
        }
        Self { providers: Arc::new(known.collect()), tariff, keys }
    }

    /// Names of the providers.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.providers.keys().cloned()
    }

    /// What so many tokens cost. A recording costs nothing.
    pub(crate) fn cost(&self, target: &Target, usage: Usage) -> Option<Cost> {
        if let Some(Talks::Recording(_)) = self.providers.get(&target.provider).map(|known| &known.talks) {
            return Some(Cost { micros: 0, price: Map::new().with("recorded", true) });
        }
        let host = self.providers.get(&target.provider).and_then(|known| known.talks.host());
        let quote = self.tariff.quote(&target.provider, host, &target.model)?;
        let mut price = quote.price.to_map();
        for (key, value) in quote.row.iter() {
            price.insert(key.clone(), value.clone());
        }
        Some(Cost { micros: quote.price.cost(usage), price })
    }

    pub(crate) fn prepare(&self, target: &Target, request: &Request) -> Result<Prepared, Failure> {
        if let Some(relay) = &request.relay {
            return self.prepare_relay(target, relay, request);
        }
        let bytes = match &self.known(target)?.talks {
            Talks::Provider(provider) => encode(provider, &target.model, request),
            // A recording is asked with the request itself.
            Talks::Recording(_) => serde_json::to_vec(request).unwrap_or_default(),
            Talks::Nobody(why) => return Err(failure(FailureClass::Unreachable, why)),
        };
        Ok(Prepared {
            target: target.clone(),
            input_tokens: input_tokens(bytes.len()),
            output_tokens: request.max_output.unwrap_or(OUTPUT_TOKENS),
            bytes: bytes.into(),
            relay: None,
        })
    }

    /// A client's own request: its body is the one turn.
    fn prepare_relay(&self, target: &Target, relay: &Relay, request: &Request) -> Result<Prepared, Failure> {
        let bad = |why: NotCarried| failure(FailureClass::BadRequest, &why.to_string());
        let Some(Turn::User { text: body }) = request.turns.first() else {
            return Err(failure(FailureClass::BadRequest, "the request is empty"));
        };
        let wants = Wants::of(relay.dialect, body).map_err(bad)?;
        let (bytes, as_is) = match &self.known(target)?.talks {
            Talks::Provider(provider) => {
                let Relayed { bytes, as_is } = relayed(provider, &target.model, relay, body).map_err(bad)?;
                (bytes, as_is)
            }
            Talks::Recording(_) => {
                let request = translated(relay.dialect, body).map_err(bad)?;
                (serde_json::to_vec(&request).unwrap_or_default(), false)
            }
            Talks::Nobody(why) => return Err(failure(FailureClass::Unreachable, why)),
        };
        Ok(Prepared {
            target: target.clone(),
            input_tokens: input_tokens(bytes.len()),
            output_tokens: wants.output_tokens,
            bytes: bytes.into(),
            relay: as_is.then(|| relay.clone()),
        })
    }

    pub(crate) async fn send(&self, order: AskOrder, ears: &Ears) -> Asked {
        let run = order.run.clone();
        let as_is = order.prepared.relay.is_some();
        let asked = self.attempt(order, ears).await;
        if ears.is_heard(&run) {
            let raw = if as_is { asked.raw.clone() } else { Vec::new() };
            ears.tell(&run, &Heard::Over { result: asked.result.clone(), raw });
        }
        asked
    }

    async fn attempt(&self, order: AskOrder, ears: &Ears) -> Asked {
        let AskOrder { run, prepared, deadlines, output, meter } = order;
        let known = match self.known(&prepared.target) {
            Ok(known) => known,
            Err(failure) => return Asked::nothing(failure),
        };
        let _place = match known.place(&meter).await {
            Ok(place) => place,
            Err(failure) => return Asked::nothing(failure),
        };
        let hears = |heard: Heard| ears.tell(&run, &heard);
        match &known.talks {
            Talks::Provider(provider) => {
                let provider = match self.keyed(provider, known.key.as_deref()).await {
                    Ok(provider) => provider,
                    Err(why) => return Asked::nothing(failure(FailureClass::Auth, &why)),
                };
                asked(&provider, &prepared, waits(deadlines), meter, output.as_ref(), &hears).await
            }
            Talks::Recording(cassette) => {
                let asked = recorded(cassette, &prepared, output.as_ref());
                if let Ok(answer) = &asked.result {
                    pieces(answer).for_each(|delta| hears(Heard::Delta(delta)));
                }
                asked
            }
            Talks::Nobody(why) => Asked::nothing(failure(FailureClass::Unreachable, why)),
        }
    }

    fn known(&self, target: &Target) -> Result<&Known, Failure> {
        self.providers.get(&target.provider).ok_or_else(|| {
            failure(
                FailureClass::Unreachable,
                &format!("the configuration has no provider {}", target.provider),
            )
        })
    }
}

async fn asked(
    provider: &Provider,
    prepared: &Prepared,
    deadlines: Deadlines,
    meter: Meter,
    output: Option<&OutputSchema>,
    hears: Hears<'_>,
) -> Asked {
    let Meter { output_tokens_max, mut cut } = meter;
    let when = Box::pin(async move {
        match cut.wait_for(Option::is_some).await.map(|cut| *cut) {
            Ok(Some(Cut::OverBudget)) => FailureClass::OverBudget,
            Ok(_) => FailureClass::Cancelled,
            // Who could break it off is gone, and with them whoever waits for the answer.
            Err(_) => std::future::pending().await,
        }
    });
    let as_is = prepared.relay.is_some();
    let mut sees = |seen: Seen<'_>| match seen {
        // Whoever wrote the request itself reads the answer itself.
        Seen::Event { name, data } if as_is => {
            hears(Heard::Event { name: name.to_owned(), data: data.to_owned() });
        }
        Seen::Delta(delta) if !as_is => hears(Heard::Delta(delta.clone())),
        _ => {}
    };
    let stop = cella_model::Stop { output_tokens_max, when, sees: &mut sees };
    let Reply { result, raw, first, took, seen_tokens } =
        ask(provider, prepared.bytes.to_vec(), prepared.relay.as_ref(), deadlines, stop).await;
    let us = |time: Duration| Int::saturating(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    let mut facts = Map::new().with("took_us", us(took));
    if let Some(first) = first {
        facts = facts.with("first_us", us(first));
    }
    match &result {
        Ok(answer) => facts = facts.with("usage", usage(answer)),
        Err(_) if seen_tokens > 0 => facts = facts.with("seen_tokens", Int::saturating(seen_tokens)),
        Err(_) => {}
    }
    let misfit = result.as_ref().ok().and_then(|answer| misfit(answer, output));
    let usage = match &result {
        Ok(answer) => answer.usage,
        // The provider counts what it has sent and what it has read, and we do not hear of it.
        Err(_) if seen_tokens > 0 => {
            Usage { input: prepared.input_tokens, output: seen_tokens, ..Usage::default() }
        }
        Err(_) => Usage::default(),
    };
    Asked { result, raw, usage, misfit, facts }
}

fn recorded(cassette: &Cassette, prepared: &Prepared, output: Option<&OutputSchema>) -> Asked {
    let request: Request = match serde_json::from_slice(&prepared.bytes) {
        Ok(request) => request,
        Err(fault) => return Asked::nothing(failure(FailureClass::BadRequest, &fault.to_string())),
    };
    match cassette.answer(&request, &request_digest(&request).to_string()) {
        Ok(answer) => {
            let misfit = misfit(&answer, output);
            let (facts, usage) = (Map::new().with("usage", usage(&answer)), answer.usage);
            Asked { result: Ok(answer), raw: Vec::new(), usage, misfit, facts }
        }
        // The same question would have no answer again.
        Err(fault) => Asked::nothing(failure(FailureClass::BadRequest, &fault.to_string())),
    }
}

/// An answer that is there already, in the pieces in which it might have come.
fn pieces(answer: &Answer) -> impl Iterator<Item = Delta> + '_ {
    let text = Some(&answer.turn.text).filter(|text| !text.is_empty());
    let calls = answer.turn.calls.iter().enumerate().map(|(at, call)| Delta::Call {
        at,
        id: call.id.clone(),
        name: call.name.clone(),
        arguments: call.arguments.clone(),
    });
    text.map(|text| Delta::Text(text.clone())).into_iter().chain(calls)
}

fn talks(name: &str, config: &ProviderConfig, base: &Path) -> Talks {
    if config.wire == Wire::Cassette {
        let file = base.join(config.file.as_deref().unwrap_or_else(|| Path::new("")));
        let text = std::fs::read_to_string(&file);
        let parsed = text
            .map_err(|fault| fault.to_string())
            .and_then(|text| Cassette::parse(&text).map_err(|e| e.to_string()));
        return match parsed {
            Ok(cassette) => Talks::Recording(cassette),
            Err(why) => {
                Talks::Nobody(format!("the recording of {name}, {}, cannot be read: {why}", file.display()))
            }
        };
    }
    match Provider::at(name, config.wire, &config.url) {
        Ok(mut provider) => {
            provider.headers.clone_from(&config.headers);
            Talks::Provider(Box::new(provider))
        }
        Err(why) => Talks::Nobody(format!("{name}: {why}")),
    }
}

fn waits(deadlines: cella_kernel::Deadlines) -> Deadlines {
    let usual = Deadlines::default();
    let time = |us: Option<u64>, usual| us.map_or(usual, Duration::from_micros);
    Deadlines {
        first_token: time(deadlines.first_token_us, usual.first_token),
        between_tokens: time(deadlines.between_tokens_us, usual.between_tokens),
        total: time(deadlines.total_us, usual.total),
    }
}

/// Why a final answer has not the shape that it must have. One that calls tools is not final.
fn misfit(answer: &Answer, output: Option<&OutputSchema>) -> Option<String> {
    let output = output.filter(|_| answer.turn.calls.is_empty() && answer.stop == Stop::End)?;
    let value = match serde_json::from_str(&answer.turn.text) {
        Ok(value) => value,
        Err(fault) => return Some(format!("it is no JSON: {fault}")),
    };
    let schema = serde_json::from_str(output.schema.text()).ok()?;
    // It was compiled when the agent was read.
    let validator = jsonschema::validator_for(&schema).ok()?;
    let fault = validator.iter_errors(&value).next()?;
    Some(format!(
        "{fault} (at {})",
        if fault.instance_path().as_str().is_empty() { "the whole" } else { fault.instance_path().as_str() }
    ))
}

fn usage(answer: &Answer) -> Map {
    let usage = answer.usage;
    let mut map =
        Map::new().with("input", Int::saturating(usage.input)).with("output", Int::saturating(usage.output));
    for (name, count) in [
        ("cached_input", usage.cached_input),
        ("cache_write", usage.cache_write),
        ("reasoning", usage.reasoning),
    ] {
        if count > 0 {
            map = map.with(name, Int::saturating(count));
        }
    }
    map
}

fn failure(class: FailureClass, message: &str) -> Failure {
    Failure { class, status: None, retry_after_ms: None, message: message.to_owned() }
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.providers.keys()).finish()
    }
}
