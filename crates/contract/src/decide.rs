//! May this call be made? A yes is a value that the next step needs; a no names the rule, its place and the way out.

use std::time::Duration;

use crate::{
    Annotations, ByteSize, Code, Contract, ContractDigest, Effect, Lock, Origin, Phase, Rate, Rates, Term,
    ToolTerms, duration_text, effective_effect,
};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is to be called.
    pub subject: Subject<'a>,
    /// Bytes of its arguments.
    pub arguments_bytes: u64,
    /// The phase of the plan that asks, if one does.
    pub phase: Option<&'a str>,
    /// What the server says of the tool.
    pub annotations: Annotations,
    /// Time since any fixed moment; only differences count.
    pub now: Duration,
}

/// What a call is made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject<'a> {
    /// A tool, by the name that its server gives it.
    Tool(&'a str),
    /// A resource, a prompt, a completion: what MCP defines as reading. Named by its method.
    Reading(&'a str),
}

/// A call that the contract allows. Only [`decide`] makes one, and what performs calls takes one.
#[derive(Debug)]
#[must_use = "a permit is for one call"]
pub struct Permit {
    subject: Box<str>,
    effect: Effect,
    contract: ContractDigest,
    timeout: Duration,
    locks: Vec<Lock>,
}

/// A call that the contract does not allow. `Display` is short and without secrets: a model reads it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// `allow = false`.
    #[error("{code}: the contract does not allow the tool {tool}{by}", code = Code::TOOL_REFUSED, by = by(.rule))]
    Tool {
        /// The tool.
        tool: Box<str>,
        /// Where the rule stands.
        rule: Option<Origin>,
    },
    /// Another phase.
    #[error(
        "{code}: the tool {tool} may be called in phase {allowed} only, not in {phase}{by}",
        code = Code::PHASE_REFUSED, allowed = either(.allowed), phase = .phase.as_deref().unwrap_or("none"), by = by(.rule)
    )]
    Phase {
        /// The tool.
        tool: Box<str>,
        /// The phase that asked.
        phase: Option<Box<str>>,
        /// The phases that may.
        allowed: Vec<Phase>,
        /// Where the rule stands.
        rule: Option<Origin>,
    },
    /// Too much.
    #[error(
        "{code}: the arguments have {bytes} bytes, the contract allows {limit}{by}",
        code = Code::ARGUMENTS_REFUSED, by = by(.rule)
    )]
    Arguments {
        /// What was called.
        subject: Box<str>,
        /// Their size.
        bytes: u64,
        /// The limit.
        limit: ByteSize,
        /// Where the rule stands; `None`: in the preset.
        rule: Option<Origin>,
    },
    /// Too often.
    #[error(
        "{code}: the tool {tool} may be called {rate}; try again in {wait}{by}",
        code = Code::RATE_REFUSED, wait = duration_text(*.retry_after), by = by(.rule)
    )]
    Rate {
        /// The tool.
        tool: Box<str>,
        /// The rule.
        rate: Rate,
        /// When it is allowed again.
        retry_after: Duration,
        /// Where the rule stands.
        rule: Option<Origin>,
    },
}

/// Decides. Counts the call against the tool's rate only if everything else allows it.
///
/// # Errors
/// [`Refusal`] for the first rule that forbids the call.
pub fn decide(contract: &Contract, request: &Request<'_>, rates: &mut Rates) -> Result<Permit, Refusal> {
    let terms = contract.terms();
    let limit = &terms.limits.arguments;
    if request.arguments_bytes > limit.value.get() {
        return Err(Refusal::Arguments {
            subject: request.subject.name().into(),
            bytes: request.arguments_bytes,
            limit: limit.value,
            rule: limit.origin.clone(),
        });
    }
    let permit = |effect, timeout: Duration, locks| Permit {
        subject: request.subject.name().into(),
        effect,
        contract: contract.digest(),
        timeout: timeout.min(terms.limits.time.value),
        locks,
    };
    let tool = match request.subject {
        Subject::Reading(_) => return Ok(permit(Effect::Read, terms.limits.time.value, Vec::new())),
        Subject::Tool(tool) => tool,
    };
    let own = terms.tool(tool);
    allowed(tool, &own)?;
    in_phase(tool, &own, request.phase)?;
    if let Some(rate) = &own.rate {
        rates.take(tool, rate.value, request.now).map_err(|retry_after| Refusal::Rate {
            tool: tool.into(),
            rate: rate.value,
            retry_after,
            rule: rate.origin.clone(),
        })?;
    }
    let effect = effective_effect(own.effect.map(|e| e.value), request.annotations);
    let timeout = own.timeout.map_or(Duration::MAX, |t| t.value);
    Ok(permit(effect, timeout, own.locks.map(|l| l.value).unwrap_or_default()))
}

fn allowed(tool: &str, terms: &ToolTerms) -> Result<(), Refusal> {
    match &terms.allow {
        Some(Term { value: false, origin }) => Err(Refusal::Tool { tool: tool.into(), rule: origin.clone() }),
        _ => Ok(()),
    }
}

fn in_phase(tool: &str, terms: &ToolTerms, phase: Option<&str>) -> Result<(), Refusal> {
    let Some(phases) = &terms.phases else { return Ok(()) };
    if phase.is_some_and(|phase| phases.value.iter().any(|p| p.as_str() == phase)) {
        return Ok(());
    }
    Err(Refusal::Phase {
        tool: tool.into(),
        phase: phase.map(Into::into),
        allowed: phases.value.clone(),
        rule: phases.origin.clone(),
    })
}

/// Where a rule stands, for messages.
fn by(rule: &Option<Origin>) -> String {
    rule.as_ref().map(|rule| format!(" ({rule})")).unwrap_or_default()
}

fn either(phases: &[Phase]) -> String {
    phases.iter().map(Phase::as_str).collect::<Vec<_>>().join(" or ")
}

// === impl Subject ===

impl<'a> Subject<'a> {
    /// The tool or method.
    #[must_use]
    pub const fn name(self) -> &'a str {
        match self {
            Self::Tool(name) | Self::Reading(name) => name,
        }
    }
}

// === impl Permit ===

impl Permit {
    /// The tool or method it is for.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The effect to reckon with.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        self.effect
    }

    /// The contract that allowed it.
    #[must_use]
    pub const fn contract(&self) -> ContractDigest {
        self.contract
    }

    /// Longest time that the contract gives the call.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What the call locks: shared when its effect changes nothing, else exclusive.
    #[must_use]
    pub fn locks(&self) -> &[Lock] {
        &self.locks
    }
}

// === impl Refusal ===

impl Refusal {
    /// Its number.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Tool { .. } => Code::TOOL_REFUSED,
            Self::Phase { .. } => Code::PHASE_REFUSED,
            Self::Arguments { .. } => Code::ARGUMENTS_REFUSED,
            Self::Rate { .. } => Code::RATE_REFUSED,
        }
    }

    /// Where the rule stands; `None`: it is the preset's.
    #[must_use]
    pub const fn rule(&self) -> Option<&Origin> {
        match self {
            Self::Tool { rule, .. }
            | Self::Phase { rule, .. }
            | Self::Arguments { rule, .. }
            | Self::Rate { rule, .. } => rule.as_ref(),
        }
    }

    /// The key that says so, for example `tools.delete_file.allow`.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Tool { tool, .. } => format!("tools.{tool}.allow"),
            Self::Phase { tool, .. } => format!("tools.{tool}.phases"),
            Self::Arguments { .. } => "limits.arguments".to_owned(),
            Self::Rate { tool, .. } => format!("tools.{tool}.rate"),
        }
    }

    /// What the operator can do about it. Not for the model.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::Tool { tool, .. } => format!("to allow it, write `allow = true` under [tools.{tool:?}]"),
            Self::Phase { tool, .. } => {
                format!("to allow it, add the phase to `phases` under [tools.{tool:?}]")
            }
            Self::Arguments { bytes, .. } => {
                format!("to allow it, raise `arguments` under [limits] to {}MiB", bytes.div_ceil(1 << 20))
            }
            Self::Rate { tool, .. } => format!("to allow more, raise `rate` under [tools.{tool:?}]"),
        }
    }

    /// When the same call may succeed without a change of the contract.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rate { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}
