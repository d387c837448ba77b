//! An agent's run behind a client's request: the last message is the task, the agent's last word the answer.
//!
//! The run is durable: a client that goes away leaves it running, and one that asks again under the same key, or says that it tries once
//! more, comes back to the same run rather than to a second one.

use cella_agency::{Ear, Heard};
use cella_dialogue::{Answer, Assistant, Dialect, Json, Stop, Usage};
use cella_event::RunId;
use cella_kernel::{Agent, EndStatus, State};
use cella_model::Delta;
use cella_pursuit::{Begin, LoadError, StartError, fresh};
use http::{Response, StatusCode};

use crate::{
    door::{self, Body, Door},
    fault::Fault,
    render::{Render, total},
    request::{Asked, Task},
    speech::{COMMENT, Gone, KEEP_ALIVE, Speech},
    talk::{Moment, Talk},
};

/// What stands between the texts of two answers of one run.
const BETWEEN: &str = "\n\n";

/// Answers a request whose model is an agent.
pub(crate) async fn answer(
    door: &Door,
    asked: Asked,
    name: &str,
    principal: &str,
) -> Result<Response<Body>, Fault> {
    let Begun { run, ear, mut live } = begun(door, &asked, name, principal).await?;
    // The shape of a final answer is that of the final answer alone.
    let state = door.runs.show(&run).await.map_err(|fault| Fault::Start(fault.into()))?.state;
    live &= state.agent().output.is_none();
    let talk = Talk::new(&door.runs, run.clone(), ear);
    let render = Render::new(asked.dialect, run.as_str(), &asked.wants.model, asked.wants.include_usage);
    let mut telling =
        Telling { render, dialect: asked.dialect, live, said: String::new(), apart: false, used: Vec::new() };
    if asked.wants.stream {
        let (speech, response) = Speech::open();
        tokio::spawn(told(telling, speech, talk));
        return Ok(door::of_run(response, &run));
    }
    let mut talk = talk;
    loop {
        match talk.next().await {
            Moment::Heard(heard) => drop(telling.heard(heard)),
            Moment::Over(over) => {
                let response = match over.and_then(|state| telling.answer(&state)) {
                    Ok(answer) => door::whole(StatusCode::OK, &telling.render.whole(&answer)),
                    Err(fault) => fault.response(asked.dialect),
                };
                return Ok(door::of_run(response, &run));
            }
        }
    }
}

struct Begun {
    run: RunId,
    ear: Ear,
    /// It is heard from its beginning.
    live: bool,
}

async fn begun(door: &Door, asked: &Asked, name: &str, principal: &str) -> Result<Begun, Fault> {
    let digest = asked.digest(principal);
    let _one_at_a_time = door.beginning.lock().await;
    let keyed = asked.run_of_key(principal);
    let known = keyed.clone().or_else(|| door.remembered(&digest).filter(|_| asked.is_retry));
    if let Some(run) = known
        && is_there(door, &run).await?
    {
        let ear = door.crew.ears().listen(&run);
        return Ok(Begun { run, ear, live: false });
    }
    let Task { task, earlier, request, after } = asked.task()?;
    if let Some(after) = after {
        let from =
            RunId::new(after.clone()).map_err(|_| StartError::Load(LoadError::NoSuchRun { run: after }))?;
        door.api.may_order(&from, "fork", principal).await?;
        let run = door.runs.fork(&from, None, None, Some(task), principal).await?;
        let ear = door.crew.ears().listen(&run);
        door.remember(digest, &run);
        return Ok(Begun { run, ear, live: false });
    }
    let of_agent = door.crew.config(name)?.account;
    let account = door.crew.rights().account(principal, asked.account.clone(), of_agent);
    let agent = fitted(door.crew.agent(name).await?, &request);
    let run = match keyed {
        Some(run) => run,
        None => fresh()?,
    };
    let ear = door.crew.ears().listen(&run);
    let begin = Begin { agent, task, earlier, account, principal: principal.to_owned() };
    door.runs.begin_as(run.clone(), begin).await?;
    door.remember(digest, &run);
    Ok(Begun { run, ear, live: true })
}

async fn is_there(door: &Door, run: &RunId) -> Result<bool, Fault> {
    match door.runs.show(run).await {
        Ok(known) => {
            if !known.active && known.state.ending().is_none() {
                door.runs.resume(run).await?;
            }
            Ok(true)
        }
        Err(LoadError::NoSuchRun { .. }) => Ok(false),
        Err(fault) => Err(Fault::Start(fault.into())),
    }
}

/// The agent with what the client adds: more instructions behind its own, the shape of the answer, parameters of the wire.
fn fitted(mut agent: Agent, request: &cella_dialogue::Request) -> Agent {
    if !request.instructions.is_empty() {
        if !agent.instructions.is_empty() {
            agent.instructions.push_str("\n\n");
        }
        agent.instructions.push_str(&request.instructions);
    }
    if request.output.is_some() {
        agent.output.clone_from(&request.output);
    }
    if let Some(most) = request.max_output {
        agent.limits.max_output = Some(agent.limits.max_output.map_or(most, |own| own.min(most)));
    }
    if let Some(more) = &request.extra {
        agent.extra = merged(agent.extra.as_ref(), more);
    }
    agent
}

/// Both together; what the agent's file says counts.
fn merged(own: Option<&Json>, more: &Json) -> Option<Json> {
    let mut all: serde_json::Map<String, serde_json::Value> = serde_json::from_str(more.text()).ok()?;
    let own = own.and_then(|own| serde_json::from_str(own.text()).ok());
    let own: serde_json::Map<String, serde_json::Value> = own.unwrap_or_default();
    all.extend(own);
    Json::of(&all).ok()
}

/// Tells a client of a run.
struct Telling {
    render: Render,
    dialect: Dialect,
    /// Texts go out as they come in; else the last one does at the end.
    live: bool,
    said: String,
    /// The next text is that of another answer.
    apart: bool,
    used: Vec<Usage>,
}

async fn told(mut telling: Telling, speech: Speech, mut talk: Talk) {
    loop {
        let said = tokio::select! {
            moment = talk.next() => match moment {
                Moment::Heard(heard) => telling.heard(heard),
                Moment::Over(over) => {
                    let last = telling.over(over);
                    let _gone_or_told = speech.say(last).await;
                    return;
                }
            },
            // The run goes on without the client.
            () = speech.gone() => return,
            () = tokio::time::sleep(KEEP_ALIVE) => COMMENT.to_owned(),
        };
        if let Err(Gone) = speech.say(said).await {
            return;
        }
    }
}

impl Telling {
    fn heard(&mut self, heard: Heard) -> String {
        match heard {
            Heard::Delta(Delta::Text(text)) if self.live => {
                let text = if std::mem::take(&mut self.apart) && !self.said.is_empty() {
                    format!("{BETWEEN}{text}")
                } else {
                    text
                };
                self.said.push_str(&text);
                self.render.delta(&Delta::Text(text))
            }
            Heard::Over { result, .. } => {
                self.apart = true;
                self.used.extend(result.ok().map(|answer| answer.usage));
                String::new()
            }
            // Which tools it calls is its own affair.
            _ => String::new(),
        }
    }

    fn over(&mut self, over: Result<Box<State>, Fault>) -> String {
        match over.and_then(|state| self.answer(&state)) {
            Ok(mut answer) => {
                // Of what was said in pieces the end is all that is left.
                if !self.said.is_empty() {
                    answer.turn.text.clone_from(&self.said);
                }
                self.render.end(&answer)
            }
            Err(fault) => fault.event(self.dialect),
        }
    }

    fn answer(&self, state: &State) -> Result<Answer, Fault> {
        let ending = state.ending().filter(|ending| ending.status == EndStatus::Completed);
        let ending = ending.ok_or_else(|| Fault::of_run(state))?;
        Ok(Answer {
            turn: Assistant { text: ending.output.clone(), calls: Vec::new(), verbatim: None },
            stop: Stop::End,
            usage: total(self.used.iter().copied()),
            model: String::new(),
        })
    }
}
