//! Many schedules, each with its own faults, all from one number: answers lost, nodes killed at any moment, people who answer late
//! or twice. Whatever happens, what cannot be taken back is done once, and the run ends as it would have undisturbed.

use std::collections::BTreeMap;

use cella_dialogue::{Failure, FailureClass, Json, Turn};
use cella_event::CallId;
use cella_kernel::{Effect, Fact, Key, Part, State, Status, ToCall, Verdict, What, replay};

use crate::world::{Dice, Outside, agent, fact, intended, model, started};

/// Steps of a schedule after which a run that has not ended is stuck.
const PATIENCE: usize = 20_000;

/// What is under way in one life of the node.
#[derive(Clone, Debug)]
enum Flight {
    /// Begun, not on record.
    Begun(Effect),
    /// On record, not done.
    OnRecord(Effect, Intent),
    /// Done outside, the outcome not on record.
    Performed(Box<ToCall>, CallId, Json),
}

/// What was put on record before a call.
#[derive(Clone, Debug, Default)]
struct Intent {
    call: Option<CallId>,
    key: String,
}

struct World {
    facts: Vec<Fact>,
    state: State,
    flights: BTreeMap<Key, Flight>,
    outside: Outside,
    seed: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let first = fact(1, started(agent()));
        let state = State::begin(&first).expect("a run");
        Self { facts: vec![first], state, flights: BTreeMap::new(), outside: Outside::default(), seed }
    }

    fn record(&mut self, what: What) {
        let fact = fact(self.facts.len() as u64 + 1, what);
        self.state.apply(&fact).unwrap_or_else(|fault| panic!("seed {}: {fault}", self.seed));
        self.facts.push(fact);
    }

    /// The node dies, and another takes the run up from the ledger alone. Now and then an answer of the earlier life still comes in.
    fn crash(&mut self, dice: &mut Dice) {
        let late: Vec<Flight> = std::mem::take(&mut self.flights).into_values().collect();
        let (first, rest) = self.facts.split_first().expect("a first fact");
        let mut state = State::begin(first).expect("a run");
        rest.iter().for_each(|fact| state.apply(fact).expect("it applied before"));
        self.state = state;
        self.record(What::Resumed);
        for flight in late {
            if let Flight::Performed(to_call, call, result) = flight
                && dice.below(4) == 0
            {
                let (step, part) = (to_call.step, to_call.part);
                self.record(What::Done { step, call, part, result });
            }
        }
    }

    fn begin(&mut self) {
        for (key, effect) in self.state.due() {
            self.flights.entry(key).or_insert(Flight::Begun(effect));
        }
    }

    /// One thing that is under way goes on. The end is begun last.
    fn go_on(&mut self, key: Key, dice: &mut Dice) {
        if matches!(key, Key::End | Key::Pause)
            && self.flights.keys().any(|k| !matches!(k, Key::End | Key::Pause))
        {
            return;
        }
        if matches!(key, Key::End | Key::Pause) {
            self.flights.remove(&key);
            // As the run stands when everything else has come back.
            if let Some((key, effect)) = self.state.due().into_iter().find(|(due, _)| *due == key) {
                self.put_on_record(key, effect, dice);
            }
            return;
        }
        match self.flights.remove(&key) {
            Some(Flight::Begun(effect)) => self.put_on_record(key, effect, dice),
            Some(Flight::OnRecord(Effect::Call(call), intent)) => {
                let result = self.outside.perform(&call, &intent.key);
                let name = intent.call.expect("a call has a name");
                self.flights.insert(key, Flight::Performed(call, name, result));
            }
            Some(Flight::OnRecord(effect, _)) => self.answer(&effect, dice),
            Some(Flight::Performed(to_call, call, result)) => {
                let (step, part) = (to_call.step, to_call.part);
                let what = if dice.below(10) == 0 {
                    What::Failed { step, call, part, why: "the server is gone".into(), in_doubt: true }
                } else {
                    What::Done { step, call, part, result }
                };
                self.record(what);
            }
            None => {}
        }
    }

    fn put_on_record(&mut self, key: Key, effect: Effect, dice: &mut Dice) {
        match &effect {
            Effect::Ask { ask, target, digest } => {
                self.record(What::Asked { ask: *ask, target: target.clone(), digest: *digest });
                self.flights.insert(key, Flight::OnRecord(effect, Intent::default()));
            }
            Effect::Call(call) => {
                let intent = self.intend(call);
                if dice.below(20) == 0 {
                    let (step, part, why) = (call.step, call.part, "not reached".into());
                    let call = intent.call.expect("a call has a name");
                    return self.record(What::Failed { step, call, part, why, in_doubt: true });
                }
                self.flights.insert(key, Flight::OnRecord(effect, intent));
            }
            Effect::Forfeit { ask } => {
                let failure = Failure {
                    class: FailureClass::Cut,
                    status: None,
                    retry_after_ms: None,
                    message: "the node ended".into(),
                };
                self.record(What::Unanswered { ask: *ask, failure });
            }
            Effect::Wait { until } => self.record(What::Woken { until: *until }),
            Effect::AskApproval { step, .. } => self.record(What::ApprovalAsked { step: *step }),
            Effect::AskAboutDoubt { step, .. } => self.record(What::DoubtAsked { step: *step }),
            Effect::SetBoard { step, key, value } => {
                let (step, key, value) = (*step, key.clone(), value.clone());
                self.record(What::BoardSet { step, key, value });
            }
            Effect::Pause { code, why } => {
                self.record(What::Paused { code: (*code).into(), why: why.clone() });
                self.flights.clear();
                self.record(What::Resumed);
            }
            Effect::End(ending) => self.record(What::Ended(ending.clone())),
            Effect::EnterPhase { .. } | Effect::StartChild { .. } => unreachable!("not in this world"),
        }
    }

    /// Puts a call on record, and says under which key it goes.
    fn intend(&mut self, call: &ToCall) -> Intent {
        let what = intended(call, self.facts.len() as u64 + 1);
        let What::Intended(intended) = &what else { unreachable!("an intent") };
        let key = intended.key.clone().or_else(|| call.key.clone()).expect("a key");
        let intent = Intent { call: Some(intended.call.clone()), key };
        self.record(what);
        intent
    }

    fn answer(&mut self, effect: &Effect, dice: &mut Dice) {
        let Effect::Ask { ask, .. } = effect else { unreachable!("only questions are answered") };
        let ask = *ask;
        if dice.below(6) == 0 {
            let class = FailureClass::ALL[dice.below(8) as usize];
            let failure = Failure { class, status: None, retry_after_ms: None, message: "scripted".into() };
            return self.record(What::Unanswered { ask, failure });
        }
        let answer = model(&self.state, self.seed);
        self.record(What::Answered { ask, answer, misfit: None });
    }

    /// A human looks at what waits, and says the truth.
    fn human(&mut self) {
        let Some(waiting) = self.state.waiting().next() else { return };
        let (step, by) = (waiting.step, "ann".to_owned());
        if !waiting.in_doubt {
            return self.record(What::ApprovalGranted { step, by });
        }
        let key = self.facts.iter().find_map(|fact| match &fact.what {
            What::Intended(i) if i.step == step && i.part == Part::Do => i.key.clone(),
            _ => None,
        });
        let done = key.is_some_and(|key| self.outside.paid.contains(&key));
        let result = format!("paid {}", waiting.arguments);
        let verdict = if done { Verdict::Happened { result } } else { Verdict::NotHappened };
        self.record(What::Resolved { step, verdict, by });
    }

    fn undisturbed(seed: u64) -> Self {
        let (mut world, mut dice) = (Self::new(seed), Dice::new(0));
        while world.state.status() != Status::Ended {
            world.begin();
            // The last key first or the first, it makes no difference; no fault comes of a fixed die.
            let Some(key) = world.flights.keys().next().copied() else {
                world.human();
                continue;
            };
            dice = Dice::new(dice.below(1) + 7);
            world.calm(key);
        }
        world
    }

    /// The same without faults.
    fn calm(&mut self, key: Key) {
        match self.flights.remove(&key) {
            Some(Flight::Begun(Effect::Call(call))) => {
                let intent = self.intend(&call);
                let result = self.outside.perform(&call, &intent.key);
                let name = intent.call.expect("a call has a name");
                self.record(What::Done { step: call.step, call: name, part: call.part, result });
            }
            Some(Flight::Begun(Effect::Ask { ask, target, digest })) => {
                self.record(What::Asked { ask, target, digest });
                let answer = model(&self.state, self.seed);
                self.record(What::Answered { ask, answer, misfit: None });
            }
            Some(Flight::Begun(effect)) => self.put_on_record(key, effect, &mut Dice::new(7)),
            _ => {}
        }
    }
}

fn disturbed(seed: u64) -> World {
    let (mut world, mut dice) = (World::new(seed), Dice::new(seed ^ 0x5eed));
    for _ in 0..PATIENCE {
        if world.state.status() == Status::Ended {
            return world;
        }
        world.begin();
        if dice.below(12) == 0 {
            world.crash(&mut dice);
            continue;
        }
        let keys: Vec<Key> = world.flights.keys().copied().collect();
        if keys.is_empty() || dice.below(10) == 0 {
            world.human();
            continue;
        }
        world.go_on(keys[dice.below(keys.len() as u64) as usize], &mut dice);
    }
    panic!("seed {seed}: the run is stuck at {:?}", world.state.due());
}

fn holds(seed: u64) {
    let (calm, world) = (World::undisturbed(seed), disturbed(seed));
    let mut paid = world.outside.paid.clone();
    paid.sort();
    paid.dedup();
    assert_eq!(paid.len(), world.outside.paid.len(), "seed {seed}: paid twice");
    assert_eq!(paid.len(), calm.outside.paid.len(), "seed {seed}: not all was paid");
    assert!(world.outside.standing.values().all(|n| *n == 1), "seed {seed}: {:?}", world.outside.standing);
    assert_eq!(world.outside.standing.len(), calm.outside.standing.len(), "seed {seed}");
    assert_eq!(world.outside.set, calm.outside.set, "seed {seed}");
    assert_eq!(world.state.board(), calm.state.board(), "seed {seed}");
    assert_eq!(world.state.ending(), calm.state.ending(), "seed {seed}");
    assert_eq!(told(&world.state), told(&calm.state), "seed {seed}: the dialogues differ");
    let replayed = replay(&world.facts).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
    assert_eq!(replayed.facts, world.facts.len());
}

fn told(state: &State) -> Vec<Turn> {
    state.turns().to_vec()
}

/// `CELLA_SEED=N` does one schedule; `CELLA_SEEDS=N` does so many.
#[test]
fn ten_thousand_schedules_with_faults_end_as_they_would_without() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("CELLA_SEED") {
        return holds(seed);
    }
    (0..number("CELLA_SEEDS").unwrap_or(10_000)).for_each(holds);
}

/// As [`disturbed`], and at some moment somebody wants the run to end: also while something is begun and not yet on record.
fn cancelled(seed: u64) -> World {
    let (mut world, mut dice) = (World::new(seed), Dice::new(seed ^ 0xca11));
    let moment = dice.below(60);
    for step in 0..PATIENCE as u64 {
        if world.state.status() == Status::Ended {
            return world;
        }
        world.begin();
        if step == moment {
            world.record(What::CancelAsked { by: "ann".into() });
        }
        // What is of no use any more is given up by its driver.
        world.flights.retain(|key, flight| {
            !(matches!(key, Key::Wait(..) | Key::Deadline)
                && matches!(flight, Flight::Begun(_))
                && world.state.is_abandoned(*key))
        });
        if dice.below(20) == 0 {
            world.crash(&mut dice);
            continue;
        }
        let keys: Vec<Key> = world.flights.keys().copied().collect();
        if keys.is_empty() {
            world.human();
            continue;
        }
        world.go_on(keys[dice.below(keys.len() as u64) as usize], &mut dice);
    }
    panic!("seed {seed}: the run is stuck at {:?}", world.state.due());
}

#[test]
fn a_run_that_is_cancelled_at_any_moment_ends_pays_nothing_twice_and_replays() {
    for seed in 0..2_000 {
        let world = cancelled(seed);
        let mut paid = world.outside.paid.clone();
        paid.sort();
        paid.dedup();
        assert_eq!(paid.len(), world.outside.paid.len(), "seed {seed}: paid twice");
        replay(&world.facts).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
    }
}

#[test]
fn a_seed_gives_the_same_schedule_again() {
    assert_eq!(disturbed(42).facts, disturbed(42).facts);
}

/// The facts of one disturbed run.
pub(crate) fn facts(seed: u64) -> Vec<Fact> {
    disturbed(seed).facts
}
