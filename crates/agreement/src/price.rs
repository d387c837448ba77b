//! What tokens cost.

use cella_dialogue::Usage;
use cella_event::{Int, Map};

/// Prices of one model, in pico-units of the currency (a millionth of a millionth) for one token: the same number as micro-units for a million
/// tokens, which is how providers write them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// A token of input.
    pub input: u64,
    /// A token of output, reasoning among them.
    pub output: u64,
    /// A token of input that came from the provider's cache; `None`: as any other.
    pub cached_input: Option<u64>,
    /// A token of input that went into the cache; `None`: as any other.
    pub cache_write: Option<u64>,
    /// A token of reasoning; `None`: as any other of output.
    pub reasoning: Option<u64>,
    /// Other prices for long requests.
    pub long: Option<Long>,
}

/// What all tokens of a request cost whose input is longer than this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Long {
    /// Tokens of input.
    pub over: u64,
    /// As in [`Price`].
    pub input: u64,
    /// As in [`Price`].
    pub output: u64,
    /// As in [`Price`].
    pub cached_input: Option<u64>,
    /// As in [`Price`].
    pub cache_write: Option<u64>,
}

/// Pico-units in a micro-unit.
const PICO_IN_MICRO: u128 = 1_000_000;

impl Price {
    /// What so many tokens cost, in micro-units, rounded up: nothing is ever cheaper than it was.
    #[must_use]
    pub fn cost(&self, usage: Usage) -> u64 {
        if let Some(long) = self.long.filter(|long| usage.input > long.over) {
            let Long { input, output, cached_input, cache_write, .. } = long;
            // For long requests nobody has another price for reasoning.
            return Self { input, output, cached_input, cache_write, reasoning: None, long: None }
                .cost(usage);
        }
        let cached = usage.cached_input.min(usage.input);
        let written = usage.cache_write.min(usage.input - cached);
        let plain = usage.input - cached - written;
        let reasoned = usage.reasoning.min(usage.output);
        let times = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let pico = times(plain, self.input)
            + times(cached, self.cached_input.unwrap_or(self.input))
            + times(written, self.cache_write.unwrap_or(self.input))
            + times(usage.output - reasoned, self.output)
            + times(reasoned, self.reasoning.unwrap_or(self.output));
        u64::try_from(pico.div_ceil(PICO_IN_MICRO)).unwrap_or(u64::MAX)
    }

    /// At most what so many tokens cost, whatever comes from a cache or goes into it.
    #[must_use]
    pub fn upper_bound(&self, input: u64, output: u64) -> u64 {
        let dearest = |input: u64, cached: Option<u64>, write: Option<u64>| {
            input.max(cached.unwrap_or(0)).max(write.unwrap_or(0))
        };
        let usage = Usage { input, output, ..Usage::default() };
        let plain = Self {
            input: dearest(self.input, self.cached_input, self.cache_write),
            output: self.output.max(self.reasoning.unwrap_or(0)),
            ..Self::default()
        };
        // Of a request that may be long nobody knows how long it is before it is counted.
        let long = self.long.filter(|long| input > long.over).map_or(0, |long| {
            let input = dearest(long.input, long.cached_input, long.cache_write);
            Self { input, output: long.output, ..Self::default() }.cost(usage)
        });
        plain.cost(usage).max(long)
    }

    /// As it stands in the event that settles: prices are per million tokens, in micro-units.
    #[must_use]
    pub fn to_map(&self) -> Map {
        let mut map = Map::new()
            .with("input", Int::saturating(self.input))
            .with("output", Int::saturating(self.output));
        if let Some(price) = self.cached_input {
            map = map.with("cached_input", Int::saturating(price));
        }
        if let Some(price) = self.cache_write {
            map = map.with("cache_write", Int::saturating(price));
        }
        if let Some(price) = self.reasoning {
            map = map.with("reasoning", Int::saturating(price));
        }
        if let Some(long) = self.long {
            map = map.with("long_over", Int::saturating(long.over));
            for (name, price) in [
                ("long_input", Some(long.input)),
                ("long_output", Some(long.output)),
                ("long_cached_input", long.cached_input),
                ("long_cache_write", long.cache_write),
            ] {
                if let Some(price) = price {
                    map = map.with(name, Int::saturating(price));
                }
            }
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_price_per_million_tokens_is_counted_to_the_micro_unit_and_rounded_up() {
        // 2.50 and 10.00 for a million, 1.25 cached.
        let price =
            Price { input: 2_500_000, output: 10_000_000, cached_input: Some(1_250_000), ..Price::default() };
        let usage = Usage { input: 1_000, cached_input: 400, output: 200, ..Usage::default() };
        // 600 x 2.5 + 400 x 1.25 + 200 x 10 = 4,000 micro-units: 0.4 cents.
        assert_eq!(price.cost(usage), 4_000);
        assert_eq!(Price { input: 1, ..Price::default() }.cost(Usage { input: 1, ..Usage::default() }), 1);
        assert_eq!(price.cost(Usage::default()), 0);
    }

    proptest! {
        #[test]
        fn nothing_costs_more_than_its_upper_bound(
            prices in (0..1_000_000_000_u64, 0..1_000_000_000_u64, any::<Option<u32>>(), any::<Option<u32>>(),
                any::<Option<u32>>(), any::<Option<(u16, u32, u32)>>()),
            input in 0..10_000_000_u64, output in 0..1_000_000_u64, cached in 0..10_000_000_u64, written in 0..10_000_000_u64,
        ) {
            let price = Price {
                input: prices.0,
                output: prices.1,
                cached_input: prices.2.map(u64::from),
                cache_write: prices.3.map(u64::from),
                reasoning: prices.4.map(u64::from),
                long: prices.5.map(|(over, input, output)| Long {
                    over: u64::from(over),
                    input: u64::from(input),
                    output: u64::from(output),
                    cached_input: prices.2.map(u64::from),
                    cache_write: prices.3.map(u64::from),
                }),
            };
            let usage = Usage { input, output, cached_input: cached, cache_write: written, reasoning: output / 2 };
            prop_assert!(price.cost(usage) <= price.upper_bound(input, output));
        }
    }
}
