//! Which traces are kept (`OTEL_TRACES_SAMPLER`).

/// A decision rule. The caller's decision comes first unless the rule ignores it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampling {
    /// Part of the traces that begin here which is kept, from 0 to 1.
    ratio: f64,
    /// Whether a trace that began elsewhere is kept as its caller says.
    follows_parent: bool,
}

// === impl Sampling ===

impl Sampling {
    /// By the names of the specification; `None` for another name or a ratio that is none.
    pub(crate) fn parse(name: Option<&str>, argument: Option<&str>) -> Option<Self> {
        let ratio = || match argument {
            Some(text) => text.parse().ok().filter(|r| (0.0..=1.0).contains(r)),
            None => Some(1.0),
        };
        let (follows_parent, rule) =
            match name.unwrap_or("parentbased_always_on").strip_prefix("parentbased_") {
                Some(rule) => (true, rule),
                None => (false, name.unwrap_or_default()),
            };
        let ratio = match rule {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => ratio()?,
            _ => return None,
        };
        Some(Self { ratio, follows_parent })
    }

    /// Whether this trace is kept; `parent` is what the caller decided, where there is one.
    pub(crate) fn keeps(self, trace: &[u8; 16], parent: Option<bool>) -> bool {
        if let (true, Some(kept)) = (self.follows_parent, parent) {
            return kept;
        }
        // The last seven bytes are random by the W3C specification, and every node decides alike by them.
        let mut low = [0; 8];
        low[1..].copy_from_slice(&trace[9..]);
        let scale = (1_u64 << 56) as f64;
        (u64::from_be_bytes(low) as f64) < self.ratio * scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, argument: Option<&str>) -> Sampling {
        Sampling::parse(Some(name), argument).expect("a rule")
    }

    #[test]
    fn a_caller_decides_for_its_trace_unless_the_rule_says_otherwise() {
        let trace = [7; 16];
        let usual = Sampling::parse(None, None).expect("the default");
        assert!(
            usual.keeps(&trace, None) && usual.keeps(&trace, Some(true)) && !usual.keeps(&trace, Some(false))
        );
        assert!(rule("always_on", None).keeps(&trace, Some(false)));
        assert!(!rule("always_off", None).keeps(&trace, Some(true)));
        assert!(rule("parentbased_always_off", None).keeps(&trace, Some(true)));
    }

    #[test]
    fn a_ratio_keeps_traces_by_their_id() {
        let half = rule("traceidratio", Some("0.5"));
        let (mut low, mut high) = ([0; 16], [0; 16]);
        (low[9], high[9]) = (0x7f, 0x80);
        assert!(half.keeps(&low, None) && !half.keeps(&high, None));
        assert_eq!(Sampling::parse(Some("traceidratio"), Some("2")), None);
        assert_eq!(Sampling::parse(Some("sometimes"), None), None);
    }
}
