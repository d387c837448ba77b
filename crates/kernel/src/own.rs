//! Tools that the kernel itself has: the blackboard, the next phase, other agents. They change nothing but the run, and what they
//! change is on record before the model hears of it.

use cella_dialogue::{Json, ToolSpec};
use cella_event::RunId;
use serde::Deserialize;

use crate::{
    Agent, StepId,
    state::{State, Wants},
};

/// Longest value on the blackboard, in bytes. Stops a model from filling each further request of its run with one entry; a longer
/// one is refused, and the model is told.
pub const BOARD_VALUE_BYTES_MAX: usize = 64 * 1024;

/// Longest name on the blackboard, in bytes. Stops a name that does not fit in an event, which would break the run off at each try; a
/// longer one is refused, and the model is told.
pub const BOARD_KEY_BYTES_MAX: usize = 256;

/// Most entries on the blackboard, for the same reason.
pub const BOARD_ENTRIES_MAX: usize = 256;

const BOARD_SET: &str = "board_set";
const BOARD_GET: &str = "board_get";
const NEXT_PHASE: &str = "next_phase";
const GIVE_TASK: &str = "give_task";

/// What a call of an own tool comes to.
pub(crate) enum Own {
    /// Something to be put on record first.
    Wants(Wants),
    /// An answer at once.
    Says { text: String, is_error: bool },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Get {
    key: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    agent: String,
    task: String,
}

/// What an agent is offered of these, always first and in this order.
pub(crate) fn tools(agent: &Agent) -> Vec<ToolSpec> {
    let mut tools = Vec::new();
    if agent.board {
        tools.push(spec(
            BOARD_SET,
            "Writes a text under a name on this run's blackboard, where it stays for the whole run.",
            r#"{"type":"object","properties":{"key":{"type":"string"},"value":{"type":"string"}},"required":["key","value"],"additionalProperties":false}"#,
        ));
        tools.push(spec(
            BOARD_GET,
            "Reads a name on this run's blackboard; without a name it lists the names.",
            r#"{"type":"object","properties":{"key":{"type":"string"}},"additionalProperties":false}"#,
        ));
    }
    if agent.phases.len() > 1 {
        let phases = agent.phases.join(", ");
        tools.push(spec(
            NEXT_PHASE,
            &format!(
                "Ends the present phase and begins the next one. The phases are, in their order: {phases}."
            ),
            r#"{"type":"object","properties":{},"additionalProperties":false}"#,
        ));
    }
    if !agent.agents.is_empty() {
        let list = agent.agents.iter().map(|c| format!("\n- {}: {}", c.name, c.description));
        let about = format!(
            "Gives a task to another agent and returns its answer. It sees nothing but the task. Agents:{}",
            list.collect::<String>()
        );
        tools.push(spec(
            GIVE_TASK,
            &about,
            r#"{"type":"object","properties":{"agent":{"type":"string"},"task":{"type":"string"}},"required":["agent","task"],"additionalProperties":false}"#,
        ));
    }
    tools
}

/// What a call of that name comes to; `None` where no own tool is called so.
pub(crate) fn call(state: &State, step: StepId, name: &str, arguments: &Json) -> Option<Own> {
    let offered = tools(&state.agent);
    if !offered.iter().any(|tool| tool.name == name) {
        return None;
    }
    Some(match name {
        BOARD_SET => set(state, arguments),
        BOARD_GET => get(state, arguments),
        NEXT_PHASE => next_phase(state),
        _ => task(state, step, arguments),
    })
}

fn set(state: &State, arguments: &Json) -> Own {
    let Set { key, value } = match read(arguments) {
        Ok(set) => set,
        Err(no) => return no,
    };
    if key.len() > BOARD_KEY_BYTES_MAX {
        return error(format!("a name has at most {BOARD_KEY_BYTES_MAX} bytes"));
    }
    if value.len() > BOARD_VALUE_BYTES_MAX {
        return error(format!("at most {BOARD_VALUE_BYTES_MAX} bytes fit under a name"));
    }
    if !state.board.contains_key(&key) && state.board.len() >= BOARD_ENTRIES_MAX {
        return error(format!("the blackboard is full: {BOARD_ENTRIES_MAX} names"));
    }
    Own::Wants(Wants::Board { key, value })
}

fn get(state: &State, arguments: &Json) -> Own {
    let key = match read::<Get>(arguments) {
        Ok(get) => get.key,
        Err(no) => return no,
    };
    match key {
        Some(key) => match state.board.get(&key) {
            Some(value) => Own::Says { text: value.clone(), is_error: false },
            None => error(format!("nothing stands under {key:?}")),
        },
        None => {
            let names: Vec<&str> = state.board.keys().map(String::as_str).collect();
            Own::Says { text: names.join("\n"), is_error: false }
        }
    }
}

fn next_phase(state: &State) -> Own {
    let next = state.phase.map_or(0, |at| at + 1);
    match state.agent.phases.get(next) {
        Some(phase) => Own::Wants(Wants::Phase(phase.clone())),
        None => error("this is the last phase".into()),
    }
}

fn task(state: &State, step: StepId, arguments: &Json) -> Own {
    let Task { agent, task } = match read(arguments) {
        Ok(task) => task,
        Err(no) => return no,
    };
    if !state.agent.agents.iter().any(|colleague| colleague.name == agent) {
        return error(format!("there is no agent {agent:?}"));
    }
    match RunId::new(format!("{}.{step}", state.run)) {
        Ok(run) => Own::Wants(Wants::Child { agent, task, run }),
        Err(_) => error("agents have given tasks to agents too often".into()),
    }
}

fn read<'j, T: Deserialize<'j>>(arguments: &'j Json) -> Result<T, Own> {
    serde_json::from_str(arguments.text())
        .map_err(|fault| error(format!("the arguments do not fit: {fault}")))
}

const fn error(text: String) -> Own {
    Own::Says { text, is_error: true }
}

fn spec(name: &str, description: &str, schema: &'static str) -> ToolSpec {
    let schema =
        Json::parse(schema).unwrap_or_else(|fault| unreachable!("a literal that is no JSON: {fault}"));
    ToolSpec { name: name.into(), description: description.into(), schema }
}
