use cella_event::{Hash, Label, Map, Micros};

use super::*;

/// A history of one run at one server, told event by event.
#[derive(Default)]
struct Told(Vec<Event>);

impl Told {
    fn event(mut self, kind: Kind, body: Map) -> Self {
        let is_of_run = !matches!(kind, Kind::CellStarted | Kind::CellExited | Kind::WorkspaceCaptured);
        self.0.push(Event {
            seq: Seq(self.0.len() as u64 + 1),
            time: Micros(0),
            kind,
            run: is_of_run.then(run),
            call: None,
            parent: None,
            principal: None,
            server: Some(Label::clipped("files")),
            tool: None,
            body,
            payloads: Vec::new(),
            prev: Hash::ZERO,
        });
        self
    }

    fn cell(self, cell: &str, from: Option<&str>) -> Self {
        let body = Map::new().with("cell", cell.to_owned()).with(OF_RUN, "r-1");
        let body = from.map_or_else(|| body.clone(), |from| body.clone().with(FROM, from.to_owned()));
        self.event(Kind::CellStarted, body)
    }

    fn call(self) -> Self {
        self.event(Kind::CallIntended, Map::new()).event(Kind::CallCompleted, Map::new())
    }

    fn kept(self, workspace: &str) -> Self {
        self.event(Kind::CellCheckpointed, Map::new().with("workspace", workspace.to_owned()))
    }

    fn failed(self) -> Self {
        self.event(Kind::CellCheckpointed, Map::new().with("code", "CE").with("why", "no room"))
    }

    fn captured(self, cell: &str, workspace: &str) -> Self {
        let body = Map::new().with("cell", cell.to_owned()).with("workspace", workspace.to_owned());
        self.event(Kind::WorkspaceCaptured, body)
    }

    fn at(&self, seq: u64) -> Trail {
        trails(&run(), Some(Seq(seq)), self.0.iter()).servers.remove("files").unwrap_or_default()
    }

    fn now(&self) -> Trail {
        trails(&run(), None, self.0.iter()).servers.remove("files").unwrap_or_default()
    }
}

fn run() -> RunId {
    RunId::new("r-1").expect("a name")
}

fn kept(id: &str) -> At {
    At::Kept(id.to_owned())
}

#[test]
fn the_checkpoint_after_the_last_call_counts_also_where_it_came_a_moment_later() {
    let told = Told::default().cell("c", None).call().kept("one").call().kept("two");
    assert_eq!((told.at(3).current, told.at(3).is_open), (kept("one"), false));
    assert_eq!(told.at(6).current, kept("two"));
    assert_eq!(told.now().current, kept("two"));
    assert_eq!(told.at(1).current, At::Host);
}

#[test]
fn a_checkpoint_after_another_call_is_not_taken_for_an_earlier_state() {
    let told = Told::default().cell("c", None).call().failed().call().kept("two");
    let first = told.at(3);
    assert!(first.is_open && first.is_lost, "{first:?}");
    assert_eq!(told.at(4).why.as_deref(), Some("no room"));
    assert_eq!(told.at(6).current, kept("two"));
}

#[test]
fn what_a_cell_left_at_its_end_is_the_state_after_its_last_call() {
    let told = Told::default().cell("c", None).call().captured("c", "left").cell("d", Some("left")).call();
    assert_eq!((told.at(3).current, told.at(3).is_open), (kept("left"), false));
    let now = told.now();
    assert_eq!((now.is_open, now.base, now.last.as_deref()), (true, kept("left"), Some("d")));
}

#[test]
fn what_a_killed_cell_left_counts_although_the_run_has_begun_another_call_meanwhile() {
    let told = Told::default().cell("c", None).call().event(Kind::RunResumed, Map::new());
    let told = told.event(Kind::CallIntended, Map::new()).captured("c", "left").cell("d", Some("left"));
    assert_eq!((told.at(3).current, told.at(3).is_open), (kept("left"), false));
}

#[test]
fn cells_of_others_say_nothing() {
    let other = Map::new().with("cell", "x").with(OF_RUN, "r-2").with(FROM, "theirs");
    let told = Told::default().event(Kind::CellStarted, other).call().captured("x", "theirs");
    assert!(!told.now().is_apart());
    assert_eq!((told.now().current, told.now().calls), (At::Host, 1));
}

#[test]
fn a_fork_that_left_its_files_behind_has_no_parent_to_ask() {
    let body =
        |left| Map::new().with("from", "r-0").with("at", cella_event::Int::saturating(7)).with(LEFT, left);
    let parent = |left| {
        let told = Told::default().event(Kind::RunForked, body(left));
        trails(&run(), None, told.0.iter()).parent
    };
    assert_eq!(parent(false), RunId::new("r-0").ok().zip(Some(Seq(7))));
    assert_eq!(parent(true), None);
}

#[test]
fn the_frozen_events_give_the_frozen_answers() {
    let text = include_str!("../../../../spec/run-v1/files.json");
    let vectors: serde_json::Value = serde_json::from_str(text).expect("vectors");
    let list = |name: &str| vectors[name].as_array().cloned().unwrap_or_default();
    let events: Vec<Event> = list("events")
        .iter()
        .map(|event| Event::decode(event.as_str().unwrap_or_default().as_bytes()).expect("canonical"))
        .collect();
    for answer in list("answers") {
        let at = answer["at"].as_u64().map(Seq);
        let mut all = trails(&run(), at, events.iter());
        let trail = all.servers.remove("files").expect("a trail");
        let expected = answer["workspace"].as_str().map_or(At::Host, kept);
        assert_eq!(trail.is_open, answer["lost"] == true, "{answer}");
        assert!(trail.is_open || trail.current == expected, "{answer}: {trail:?}");
    }
}
