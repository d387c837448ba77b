//! Single rules, each in a run of its own.

use cella_contract::Effect as Class;
use cella_dialogue::{Dialect, Failure, FailureClass, Json, OutputSchema, Relay, Stop, Turn};
use cella_event::{CallId, Micros, RunId, Seq};
use cella_kernel::{
    Agent, AskId, Colleague, Divergence, Effect, EndStatus, Fact, Forked, Key, Limits, Part, State, Status,
    StepId, Tool, Verdict, What, replay, step,
};

use crate::world::{agent, fact, intended, run, says, started, target, text, tool};

/// A run that is driven fact by fact.
struct Driven {
    facts: Vec<Fact>,
    state: State,
}

impl Driven {
    fn new(agent: Agent) -> Self {
        let first = fact(1, started(agent));
        Self { state: State::begin(&first).expect("a run"), facts: vec![first] }
    }

    fn record(&mut self, what: What) -> &mut Self {
        let fact = fact(self.facts.len() as u64 + 1, what);
        self.state.apply(&fact).expect("it follows");
        self.facts.push(fact);
        self
    }

    /// Asks what is due to be asked, and answers it.
    fn answered(&mut self, text: &str, calls: &[(&str, &str)]) -> &mut Self {
        self.asked();
        let ask = self.open_ask();
        self.record(What::Answered { ask, answer: says(text, calls), misfit: None })
    }

    fn asked(&mut self) -> &mut Self {
        let due = self.state.due();
        let asks = due.into_iter().find_map(|(_, effect)| match effect {
            Effect::Ask { ask, target, digest } => Some(What::Asked { ask, target, digest }),
            _ => None,
        });
        self.record(asks.expect("a question is due"))
    }

    fn open_ask(&self) -> AskId {
        let asks = self.facts.iter().rev().find_map(|fact| match fact.what {
            What::Asked { ask, .. } => Some(ask),
            _ => None,
        });
        asks.expect("a question")
    }

    fn unanswered(&mut self, class: FailureClass) -> &mut Self {
        let failure = Failure { class, status: None, retry_after_ms: None, message: "no".into() };
        let ask = self.open_ask();
        self.record(What::Unanswered { ask, failure })
    }

    /// Begins the calls that are due.
    fn called(&mut self) -> Vec<StepId> {
        let mut steps = Vec::new();
        for (_, effect) in self.state.due() {
            if let Effect::Call(call) = effect {
                steps.push(call.step);
                let what = intended(&call, self.facts.len() as u64 + 1);
                self.record(what);
            }
        }
        steps
    }

    fn done(&mut self, step: u32, part: Part, result: Json) -> &mut Self {
        let call = self.last_call(StepId(step));
        self.record(What::Done { step: StepId(step), call, part, result })
    }

    fn failed_in_doubt(&mut self, step: u32) -> &mut Self {
        let call = self.last_call(StepId(step));
        let why = "gone".into();
        self.record(What::Failed { step: StepId(step), call, part: Part::Do, why, in_doubt: true })
    }

    fn last_call(&self, step: StepId) -> CallId {
        let begun = self.facts.iter().rev().find_map(|fact| match &fact.what {
            What::Intended(intended) if intended.step == step => Some(intended.call.clone()),
            _ => None,
        });
        begun.expect("a call of it")
    }

    fn due(&self) -> Vec<Key> {
        self.state.due().into_iter().map(|(key, _)| key).collect()
    }

    fn end(&mut self) -> &mut Self {
        let due = self.state.due();
        let end = due.into_iter().find_map(|(_, effect)| match effect {
            Effect::End(ending) => Some(What::Ended(ending)),
            Effect::Pause { code, why } => Some(What::Paused { code: code.into(), why }),
            _ => None,
        });
        self.record(end.expect("the end is due"))
    }

    fn last_results(&self) -> Vec<(String, bool)> {
        let results = self.state.turns().iter().rev().find_map(|turn| match turn {
            Turn::Tools { results } => Some(results),
            _ => None,
        });
        results.expect("results").iter().map(|r| (r.text.clone(), r.is_error)).collect()
    }
}

fn with(tools: Vec<Tool>) -> Agent {
    Agent { tools, board: false, limits: Limits::default(), ..agent() }
}

#[test]
fn reads_fly_together_and_what_writes_flies_alone_and_in_order() {
    let mut run = Driven::new(with(vec![tool("look", Class::Read), tool("set", Class::Idempotent)]));
    run.answered("", &[("look", "{}"), ("look", "{}"), ("set", "{}"), ("look", "{}")]);
    assert_eq!(run.called(), [StepId(1), StepId(2)]);
    run.done(2, Part::Do, text("b")).done(1, Part::Do, text("a"));
    assert_eq!(run.called(), [StepId(3)]);
    run.done(3, Part::Do, text("c"));
    assert_eq!(run.called(), [StepId(4)]);
    run.done(4, Part::Do, text("d"));
    let results = run.last_results();
    assert_eq!(results.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
}

#[test]
fn no_more_calls_fly_than_the_limit_says() {
    let mut agent = with(vec![tool("look", Class::Read)]);
    agent.limits.parallel = 2;
    let mut run = Driven::new(agent);
    run.answered("", &[("look", "{}"), ("look", "{}"), ("look", "{}")]);
    assert_eq!(run.called().len(), 2);
    assert!(run.called().is_empty());
    run.done(1, Part::Do, text(""));
    assert_eq!(run.called(), [StepId(3)]);
}

#[test]
fn a_call_that_needs_approval_waits_for_days_and_then_flies() {
    let mut run = Driven::new(with(vec![Tool { approval: true, ..tool("pay", Class::Irreversible) }]));
    run.answered("", &[("pay", "{\"n\":1}")]);
    assert_eq!(run.due(), [Key::Approval(StepId(1))]);
    run.record(What::ApprovalAsked { step: StepId(1) });
    assert_eq!(run.state.status(), Status::Waiting);
    assert_eq!(run.state.waiting().next().expect("one").arguments, "{\"n\":1}");
    run.record(What::Resumed);
    assert_eq!(run.state.status(), Status::Waiting, "a node that ends does not answer for the human");
    run.record(What::ApprovalGranted { step: StepId(1), by: "ann".into() });
    assert_eq!(run.called(), [StepId(1)]);
}

#[test]
fn what_is_not_approved_is_not_called_and_the_model_hears_why() {
    let mut run = Driven::new(with(vec![Tool { approval: true, ..tool("pay", Class::Irreversible) }]));
    run.answered("", &[("pay", "{}")]).record(What::ApprovalAsked { step: StepId(1) });
    run.record(What::ApprovalDenied { step: StepId(1), by: "ann".into(), why: "too dear".into() });
    assert_eq!(run.last_results(), [("not approved by ann: too dear; nothing was called".into(), true)]);
}

#[test]
fn an_irreversible_call_in_doubt_without_a_probe_waits_for_a_human() {
    let mut run = Driven::new(with(vec![tool("send", Class::Irreversible)]));
    run.answered("", &[("send", "{}")]);
    run.called();
    run.record(What::Resumed);
    assert_eq!(run.due(), [Key::Doubt(StepId(1))]);
    run.record(What::DoubtAsked { step: StepId(1) });
    assert!(run.state.waiting().next().expect("one").in_doubt);
    let verdict = Verdict::Happened { result: "sent".into() };
    run.record(What::Resolved { step: StepId(1), verdict, by: "ann".into() });
    assert_eq!(run.last_results(), [("sent".into(), false)]);
}

#[test]
fn a_retry_carries_the_key_of_the_first_try() {
    let mut run = Driven::new(with(vec![tool("set", Class::Idempotent)]));
    run.answered("", &[("set", "{}")]);
    run.called();
    run.failed_in_doubt(1);
    let due = run.state.due();
    let [(Key::Call(StepId(1), Part::Do, 1), Effect::Call(call))] = due.as_slice() else { panic!("{due:?}") };
    assert_eq!(call.key.as_deref(), Some("k4"));
}

#[test]
fn tries_end_and_then_a_human_is_asked() {
    let mut agent = with(vec![tool("look", Class::Read)]);
    agent.limits.tries = 2;
    let mut run = Driven::new(agent);
    run.answered("", &[("look", "{}")]);
    for _ in 0..3 {
        run.called();
        run.failed_in_doubt(1);
    }
    assert_eq!(run.due(), [Key::Doubt(StepId(1))]);
}

#[test]
fn a_budget_that_is_used_up_pauses_the_run_and_resuming_asks_again() {
    let mut run = Driven::new(with(Vec::new()));
    run.record(What::OverBudget { why: "team/a: money 5.00 of 5.00 USD".into() }).end();
    assert_eq!(run.state.status(), Status::Paused);
    assert_eq!(run.state.pause(), Some(("CE1506", "team/a: money 5.00 of 5.00 USD")));
    assert!(run.due().is_empty());
    run.record(What::Resumed);
    assert_eq!(run.due(), [Key::Ask(AskId(1), 0)]);
}

#[test]
fn a_stream_that_is_cut_for_the_budget_pauses_the_run() {
    let mut run = Driven::new(with(Vec::new()));
    run.asked().unanswered(FailureClass::OverBudget).end();
    assert_eq!(run.state.status(), Status::Paused);
}

#[test]
fn when_no_model_answers_the_run_pauses_and_says_what_each_said() {
    let mut run = Driven::new(with(Vec::new()));
    run.asked().unanswered(FailureClass::Auth).end();
    let (code, why) = run.state.pause().expect("paused");
    assert_eq!((code, why), ("CE1510", "no model answered: scripted/m: no (auth)"));
    run.record(What::Resumed);
    assert_eq!(
        run.due(),
        [Key::Ask(AskId(1), 1)],
        "another attempt of the same question, with a key of its own"
    );
}

#[test]
fn a_failed_attempt_waits_and_is_made_again() {
    let mut run = Driven::new(with(Vec::new()));
    run.asked().unanswered(FailureClass::Overloaded);
    assert_eq!(run.due(), [Key::Wait(AskId(1), 1)]);
    run.record(What::Woken { until: Micros(503_000) });
    assert_eq!(run.due(), [Key::Ask(AskId(1), 1)]);
}

#[test]
fn an_attempt_of_a_node_that_ended_is_lost_at_what_was_reserved() {
    let mut run = Driven::new(with(Vec::new()));
    run.asked().record(What::Resumed);
    assert_eq!(run.due(), [Key::Forfeit(AskId(1), 1)]);
    run.unanswered(FailureClass::Cut);
    assert_eq!(run.due(), [Key::Wait(AskId(1), 1)]);
}

#[test]
fn an_answer_of_the_wrong_shape_is_asked_again_up_to_a_limit() {
    let schema = Json::parse(r#"{"type":"object"}"#).expect("JSON");
    let output = Some(OutputSchema { name: "o".into(), schema });
    let mut run = Driven::new(Agent { output, ..with(Vec::new()) });
    for left in (0..3).rev() {
        run.asked();
        let ask = run.open_ask();
        let misfit = Some("no object".to_owned());
        run.record(What::Answered { ask, answer: says("nonsense", &[]), misfit });
        if left > 0 {
            let Some(Turn::User { text }) = run.state.turns().last() else { panic!("the model is told") };
            assert!(text.contains("no object"), "{text}");
        }
    }
    run.end();
    assert_eq!(run.state.ending().expect("ended").code.as_deref(), Some("CE1508"));
}

#[test]
fn a_model_that_goes_in_circles_meets_a_limit() {
    let mut agent = with(vec![tool("look", Class::Read)]);
    agent.limits.turns = 2;
    let mut run = Driven::new(agent);
    run.answered("", &[("look", "{}")]);
    run.called();
    run.done(1, Part::Do, text("")).answered("", &[("look", "{}")]).end();
    let ending = run.state.ending().expect("ended");
    assert_eq!((ending.status, ending.code.as_deref()), (EndStatus::Failed, Some("CE1505")));

    let mut run = Driven::new(with(Vec::new()));
    for _ in 0..6 {
        run.answered("", &[("no_such_tool", "{}")]);
    }
    run.end();
    assert_eq!(run.state.ending().expect("ended").code.as_deref(), Some("CE1505"));
}

#[test]
fn broken_arguments_call_nothing_and_the_model_hears_it() {
    let mut run = Driven::new(with(vec![tool("look", Class::Read)]));
    run.answered("", &[("look", "{\"n\":"), ("look", "[1]")]);
    let told = "the arguments are no JSON object; nothing was called".to_owned();
    assert_eq!(run.last_results(), [(told.clone(), true), (told, true)]);
}

#[test]
fn a_refusal_and_a_cut_answer_fail_the_run() {
    for (stop, code) in [(Stop::Refused, "CE1507"), (Stop::Length, "CE1509")] {
        let mut run = Driven::new(with(Vec::new()));
        run.asked();
        let mut answer = says("half", &[]);
        answer.stop = stop;
        run.record(What::Answered { ask: AskId(1), answer, misfit: None }).end();
        assert_eq!(run.state.ending().expect("ended").code.as_deref(), Some(code));
    }
}

#[test]
fn a_cancelled_run_ends_when_what_is_under_way_is_over_and_says_what_is_in_doubt() {
    let mut run = Driven::new(with(vec![tool("send", Class::Irreversible)]));
    run.answered("", &[("send", "{}"), ("send", "{}")]);
    run.called();
    run.record(What::CancelAsked { by: "ann".into() });
    assert!(run.due().is_empty(), "a call is under way");
    run.failed_in_doubt(1).end();
    let ending = run.state.ending().expect("ended");
    assert_eq!(ending.status, EndStatus::Cancelled);
    let why = ending.why.as_deref().expect("why");
    assert_eq!(why, "cancelled by ann; nobody knows whether these calls were done: s1 (send)");
}

#[test]
fn the_time_of_a_run_ends_also_while_it_waits() {
    let mut agent = with(Vec::new());
    agent.limits.time_us = Some(60_000_000);
    let mut run = Driven::new(agent);
    assert_eq!(run.due(), [Key::Deadline, Key::Ask(AskId(1), 0)]);
    run.record(What::Woken { until: Micros(60_001_000) }).end();
    assert_eq!(run.state.ending().expect("ended").code.as_deref(), Some("CE1505"));
}

#[test]
fn phases_come_in_their_order_and_calls_carry_them() {
    let mut agent = with(vec![tool("look", Class::Read)]);
    agent.phases = vec!["plan".into(), "act".into()];
    let mut run = Driven::new(agent);
    run.answered("", &[("next_phase", "{}"), ("look", "{}")]);
    assert_eq!(run.due(), [Key::Note(StepId(1))], "the call waits for the phase before it");
    run.record(What::PhaseEntered { step: StepId(1), phase: "act".into() });
    let due = run.state.due();
    let [(_, Effect::Call(call))] = due.as_slice() else { panic!("{due:?}") };
    assert_eq!(call.phase.as_deref(), Some("act"));
    run.called();
    run.done(2, Part::Do, text("x")).answered("", &[("next_phase", "{}")]);
    assert_eq!(run.last_results(), [("this is the last phase".into(), true)]);
}

#[test]
fn the_blackboard_is_written_by_facts_and_read_at_once() {
    let mut run = Driven::new(Agent { board: true, ..with(Vec::new()) });
    run.answered("", &[("board_set", r#"{"key":"k","value":"v"}"#)]);
    let what = What::BoardSet { step: StepId(1), key: "k".into(), value: "v".into() };
    run.record(what).answered("", &[("board_get", r#"{"key":"k"}"#), ("board_get", "{}")]);
    assert_eq!(run.last_results(), [("v".into(), false), ("k".into(), false)]);
}

#[test]
fn a_task_for_another_agent_is_a_run_below_this_one() {
    let colleague = Colleague { name: "helper".into(), description: "helps".into() };
    let mut parent = Driven::new(Agent { agents: vec![colleague], ..with(Vec::new()) });
    parent.answered("", &[("give_task", r#"{"agent":"helper","task":"look"}"#)]);
    let due = parent.state.due();
    let [(_, Effect::StartChild { step, run, agent, task })] = due.as_slice() else { panic!("{due:?}") };
    assert_eq!((run.as_str(), agent.as_str(), task.as_str()), ("r-1.s1", "helper", "look"));
    let (step, run) = (*step, run.clone());
    parent.record(What::ChildStarted { step, run: run.clone() }).record(What::Resumed);
    assert_eq!(parent.due(), [Key::Child(step)], "it is taken up again with its parent");
    parent.record(What::ChildStarted { step, run });
    parent.record(What::ChildEnded { step, output: "seen".into(), failed: false });
    assert_eq!(parent.last_results(), [("seen".into(), false)]);
}

#[test]
fn what_was_approved_in_a_run_is_not_approved_in_its_fork() {
    let mut run = Driven::new(with(vec![Tool { approval: true, ..tool("pay", Class::Irreversible) }]));
    run.answered("", &[("pay", "{}")]).record(What::ApprovalAsked { step: StepId(1) });
    run.record(What::ApprovalGranted { step: StepId(1), by: "ann".into() });
    let forked = Forked {
        run: RunId::new("r-2").expect("an id"),
        from: crate::world::run(),
        at: run.state.last(),
        agent: None,
        say: None,
        note: cella_event::Map::new(),
    };
    run.record(What::Forked(Box::new(forked)));
    assert_eq!(run.due(), [Key::Approval(StepId(1))], "the payment would be made twice for one yes");
}

#[test]
fn a_name_that_fits_in_no_event_is_not_written_on_the_blackboard() {
    let mut run = Driven::new(Agent { board: true, ..with(Vec::new()) });
    let arguments = serde_json::json!({ "key": "k".repeat(100_000), "value": "v" }).to_string();
    run.answered("", &[("board_set", &arguments)]);
    assert_eq!(run.last_results(), [("a name has at most 256 bytes".into(), true)]);
}

#[test]
fn a_failure_of_ten_megabytes_does_not_fill_the_window_of_the_model() {
    let mut run = Driven::new(with(vec![tool("look", Class::Read)]));
    run.answered("", &[("look", "{}")]);
    let step = run.called()[0];
    let call = run.last_call(step);
    let what = What::Failed { step, call, part: Part::Do, why: "ä".repeat(5_000_000), in_doubt: false };
    run.record(what);
    assert!(run.last_results()[0].0.len() < 300_000);
}

#[test]
fn a_fork_shares_everything_up_to_its_event_and_nothing_after() {
    let mut original = Driven::new(with(vec![tool("look", Class::Read)]));
    original.answered("", &[("look", "{}")]);
    let at = original.state.last();
    let mut fork = original.state.clone();
    assert!(fork.is_quiet());
    original.called();
    assert!(!original.state.is_quiet(), "a call is under way");
    let forked = Forked {
        run: RunId::new("r-2").expect("an id"),
        from: run(),
        at,
        agent: None,
        say: Some("never mind".into()),
        note: cella_event::Map::new(),
    };
    let fact = Fact { seq: Seq(50), time: Micros(50), what: What::Forked(Box::new(forked)) };
    fork.apply(&fact).expect("a fork");
    assert_eq!(fork.run().as_str(), "r-2");
    let Some(Turn::User { text }) = fork.turns().last() else { panic!("the user's word") };
    assert_eq!(text, "never mind");
    assert!(matches!(fork.due().as_slice(), [(Key::Ask(AskId(2), 0), _)]));
    assert!(original.state.apply(&fact).is_err(), "no fork leaves between an intent and its outcome");
}

#[test]
fn replay_names_the_first_event_that_is_not_what_is_due() {
    let mut run = Driven::new(with(vec![tool("look", Class::Read), tool("send", Class::Irreversible)]));
    run.answered("", &[("look", r#"{"n":1}"#)]);
    run.called();
    run.done(1, Part::Do, text("x")).answered("ok", &[]).end();
    assert_eq!(replay(&run.facts).expect("the same").compared, 4);

    let mut other = run.facts.clone();
    let What::Intended(intended) = &mut other[3].what else { panic!("an intent") };
    intended.arguments = Some(Json::parse(r#"{"n":2}"#).expect("JSON"));
    let divergence = replay(&other).expect_err("other arguments");
    let Divergence::Other { fact, recorded, due } = divergence else { panic!("{divergence}") };
    assert_eq!(fact.seq, Seq(4));
    assert!(recorded.contains(r#"{"n":2}"#) && due.contains(r#"{"n":1}"#), "{recorded} / {due}");

    let mut other = run.facts.clone();
    let What::Started(started) = &mut other[0].what else { panic!("a start") };
    started.agent.instructions = "Do something else.".into();
    assert!(matches!(replay(&other), Err(Divergence::Other { fact, .. }) if fact.seq == Seq(2)));
}

#[test]
fn step_is_the_fold_and_what_it_made_due() {
    let first = fact(1, started(with(Vec::new())));
    let state = State::begin(&first).expect("a run");
    let digest = state.digest();
    let asked = fact(2, What::Asked { ask: AskId(1), target: target(), digest });
    let (state, due) = step(&state, &asked).expect("it follows");
    assert!(due.is_empty());
    let answered = fact(3, What::Answered { ask: AskId(1), answer: says("ok", &[]), misfit: None });
    let (state, due) = step(&state, &answered).expect("it follows");
    assert!(matches!(due.as_slice(), [(Key::End, Effect::End(_))]));
    assert!(step(&state, &answered).is_err(), "a fact that was taken in already");
}

#[test]
fn the_digest_of_a_question_is_that_of_its_request() {
    let mut run = Driven::new(with(vec![tool("look", Class::Read)]));
    run.answered("", &[("nothing", "{}")]);
    assert_eq!(run.state.digest(), cella_kernel::request_digest(&run.state.request()));
    run.record(What::ToolsFound(vec![tool("late", Class::Read)]));
    assert_eq!(run.state.digest(), cella_kernel::request_digest(&run.state.request()));
    let names: Vec<String> = run.state.request().tools.into_iter().map(|tool| tool.name).collect();
    assert_eq!(names, ["look", "late"], "what is found later stands behind");
}

#[test]
fn what_people_say_too_late_or_twice_changes_nothing() {
    let mut run = Driven::new(with(vec![Tool { approval: true, ..tool("pay", Class::Irreversible) }]));
    run.answered("", &[("pay", "{}")]).record(What::ApprovalAsked { step: StepId(1) });
    let granted = What::ApprovalGranted { step: StepId(1), by: "ann".into() };
    run.record(granted.clone());
    let denied = What::ApprovalDenied { step: StepId(1), by: "bob".into(), why: String::new() };
    run.record(denied.clone()).record(granted);
    assert_eq!(run.called(), [StepId(1)]);
    run.done(1, Part::Do, text("paid")).record(denied);
    run.answered("ok", &[]).end().record(What::CancelAsked { by: "bob".into() }).record(What::Resumed);
    assert_eq!(run.state.ending().expect("ended").status, EndStatus::Completed);
}

#[test]
fn an_answer_of_an_earlier_life_ends_the_doubt_unless_something_was_done_about_it() {
    let mut run = Driven::new(with(vec![tool("send", Class::Irreversible)]));
    run.answered("", &[("send", "{}")]);
    run.called();
    let call = run.last_call(StepId(1));
    let late = What::Done { step: StepId(1), call, part: Part::Do, result: text("sent") };
    run.record(What::Resumed).record(late.clone());
    assert_eq!(run.last_results(), [("sent".into(), false)]);
    run.record(late);
    assert_eq!(run.state.turns().len(), 3, "it is told once");
}

/// A client's own request, passed on.
fn relayed() -> Driven {
    let relay = Some(Relay { dialect: Dialect::Chat, headers: Vec::new() });
    Driven::new(Agent { relay, ..with(Vec::new()) })
}

#[test]
fn a_relay_ends_with_whatever_comes_back() {
    // Tools that the answer wants called are the client's.
    let mut run = relayed();
    run.answered("", &[("look", "{}")]).end();
    assert_eq!(run.state.ending().expect("ended").status, EndStatus::Completed);
    assert!(run.state.request().tools.is_empty());

    let mut run = relayed();
    run.asked().unanswered(FailureClass::Overloaded).end();
    let ending = run.state.ending().expect("ended");
    assert_eq!((ending.status, ending.code.as_deref()), (EndStatus::Failed, Some("CE1510")));
}

#[test]
fn a_relay_whose_client_is_gone_is_not_asked_again() {
    let mut run = relayed();
    run.record(What::Resumed).end();
    assert_eq!(run.state.ending().expect("ended").status, EndStatus::Failed);

    let mut run = relayed();
    run.asked().record(What::Resumed).unanswered(FailureClass::Cut).end();
    assert_eq!(run.state.ending().expect("ended").status, EndStatus::Failed);
}

#[test]
fn a_relay_past_its_budget_fails_and_waits_for_nobody() {
    let mut run = relayed();
    run.record(What::OverBudget { why: "acme: 1 of 1".into() }).end();
    let ending = run.state.ending().expect("ended");
    assert_eq!((ending.status, ending.code.as_deref()), (EndStatus::Failed, Some("CE1506")));
}
