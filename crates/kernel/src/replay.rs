//! Doing a run again without doing anything: its facts are folded in, and each thing that was begun must be what the kernel wants
//! begun at that point.

use std::collections::BTreeMap;

use crate::{Effect, Fact, Impossible, Intended, Key, Part, State, What};

/// A run that was replayed to its last fact.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Where it stands.
    pub state: State,
    /// Facts that were folded in.
    pub facts: usize,
    /// Of these, beginnings that were compared with what was due.
    pub compared: usize,
}

/// The first place where a run is not what this kernel makes of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Divergence {
    /// There is no run.
    #[error("expected the facts of a run, got none")]
    Empty,
    /// A fact does not follow from those before it.
    #[error(transparent)]
    Impossible(#[from] Impossible),
    /// Something else was begun than what is due.
    #[error("event {}: recorded {recorded}, due {due}", fact.seq)]
    Other {
        /// What is on record.
        fact: Box<Fact>,
        /// In words.
        recorded: String,
        /// What is due, in words.
        due: String,
    },
}

/// Replays facts in order.
///
/// # Errors
/// [`Divergence`], at the first fact that does not agree.
pub fn replay(facts: &[Fact]) -> Result<Replayed, Divergence> {
    let (first, rest) = facts.split_first().ok_or(Divergence::Empty)?;
    let mut state = State::begin(first)?;
    let mut compared = 0;
    let mut offered = Offered::default();
    for fact in rest {
        offered.add(state.due());
        if let Some(begun) = Begun::of(&fact.what) {
            compared += 1;
            begun.compare(&state, &mut offered, fact)?;
        }
        state.apply(fact)?;
    }
    Ok(Replayed { state, facts: facts.len(), compared })
}

/// What was due and has not been begun. A driver may begin it and somebody else may say something in the same moment, so that it
/// is on record when it is due no longer.
#[derive(Default)]
struct Offered(BTreeMap<Key, Effect>);

impl Offered {
    fn add(&mut self, due: Vec<(Key, Effect)>) {
        self.0.extend(due);
    }
}

/// The beginning of something that the kernel decides.
struct Begun<'f>(&'f What);

impl<'f> Begun<'f> {
    const fn of(what: &'f What) -> Option<Self> {
        match what {
            What::Asked { .. }
            | What::Intended(_)
            | What::ApprovalAsked { .. }
            | What::DoubtAsked { .. }
            | What::BoardSet { .. }
            | What::PhaseEntered { .. }
            | What::ChildStarted { .. }
            | What::Paused { .. }
            | What::Ended(_)
            | What::Woken { .. } => Some(Self(what)),
            _ => None,
        }
    }

    fn compare(&self, state: &State, offered: &mut Offered, fact: &Fact) -> Result<(), Divergence> {
        let found = offered.0.iter().find(|(key, effect)| self.is(**key, effect)).map(|(key, _)| *key);
        if let Some(key) = found {
            // The last moment of a run is waited for all its life.
            if key != Key::Deadline {
                offered.0.remove(&key);
            }
            return Ok(());
        }
        let due = state.due();
        let due: Vec<String> = due.iter().map(|(_, effect)| effect.words()).collect();
        let due = if due.is_empty() { "nothing".to_owned() } else { due.join(", or ") };
        Err(Divergence::Other { fact: Box::new(fact.clone()), recorded: words(self.0), due })
    }

    fn is(&self, key: Key, effect: &Effect) -> bool {
        match (self.0, effect) {
            (What::Asked { ask, target, digest }, Effect::Ask { ask: a, target: t, digest: d, .. }) => {
                ask == a && target == t && digest == d
            }
            (What::Intended(intended), Effect::Call(call)) => {
                let Intended { step, part, server, tool, arguments, .. } = &**intended;
                // What undo and probe are told is the driver's, who knows their schemas.
                let same = *part != Part::Do || arguments.as_ref().is_none_or(|a| *a == call.arguments);
                *step == call.step
                    && *part == call.part
                    && *server == call.server
                    && *tool == call.tool
                    && same
            }
            (What::ApprovalAsked { step }, Effect::AskApproval { step: s, .. })
            | (What::DoubtAsked { step }, Effect::AskAboutDoubt { step: s, .. }) => step == s,
            (What::BoardSet { step, key, value }, Effect::SetBoard { step: s, key: k, value: v }) => {
                step == s && key == k && value == v
            }
            (What::PhaseEntered { step, phase }, Effect::EnterPhase { step: s, phase: p }) => {
                step == s && phase == p
            }
            (What::ChildStarted { step, run }, Effect::StartChild { step: s, run: r, .. }) => {
                step == s && run == r
            }
            (What::Paused { code, .. }, Effect::Pause { code: c, .. }) => code == c,
            (What::Ended(ending), Effect::End(e)) => ending == e,
            (What::Woken { until }, Effect::Wait { until: u }) => {
                until == u && matches!(key, Key::Wait(..) | Key::Deadline)
            }
            _ => false,
        }
    }
}

impl Effect {
    /// In a few words, for people who compare what was done with what is due.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Ask { ask, target, digest, .. } => {
                format!("question {} to {}/{} ({})", ask.0, target.provider, target.model, short(digest))
            }
            Self::Forfeit { ask } => format!("the loss of an attempt at question {}", ask.0),
            Self::Wait { until } => format!("a wait until {}", until.0),
            Self::Call(call) => {
                let (step, part) = (call.step, call.part.as_str());
                format!("{step} {part} {}/{} {}", call.server, call.tool, call.arguments.text())
            }
            Self::AskApproval { step, tool, .. } => format!("asking for approval of {step} ({tool})"),
            Self::AskAboutDoubt { step, tool, .. } => format!("asking what became of {step} ({tool})"),
            Self::SetBoard { step, key, .. } => format!("{step} writing {key:?} on the blackboard"),
            Self::EnterPhase { step, phase } => format!("{step} entering the phase {phase:?}"),
            Self::StartChild { step, agent, .. } => format!("{step} giving a task to {agent}"),
            Self::Pause { code, .. } => format!("a pause ({code})"),
            Self::End(ending) => format!("the end ({}) {:?}", ending.status.as_str(), ending.output),
        }
    }
}

fn words(what: &What) -> String {
    match what {
        What::Asked { ask, target, digest } => {
            format!("question {} to {}/{} ({})", ask.0, target.provider, target.model, short(digest))
        }
        What::Intended(call) => {
            let arguments = call.arguments.as_ref().map_or("(not kept)", |a| a.text());
            format!("{} {} {}/{} {arguments}", call.step, call.part.as_str(), call.server, call.tool)
        }
        What::Woken { until } => format!("a wait until {}", until.0),
        What::Ended(ending) => format!("the end ({}) {:?}", ending.status.as_str(), ending.output),
        What::Paused { code, .. } => format!("a pause ({code})"),
        What::ApprovalAsked { step } => format!("asking for approval of {step}"),
        What::DoubtAsked { step } => format!("asking what became of {step}"),
        What::BoardSet { step, key, .. } => format!("{step} writing {key:?} on the blackboard"),
        What::PhaseEntered { step, phase } => format!("{step} entering the phase {phase:?}"),
        What::ChildStarted { step, run } => format!("{step} giving a task to the run {run}"),
        _ => "something that nobody decides".into(),
    }
}

fn short(digest: &cella_event::Hash) -> String {
    digest.to_string().chars().take(12).collect()
}
