//! A client's own request, passed on: a run of one question, whose answer is the client's, in its own protocol.

use bytes::Bytes;
use cella_agency::Heard;
use cella_dialogue::{Dialect, Failure, FailureClass};
use cella_kernel::{Agent, Limits, ModelPolicy, Target};
use cella_pursuit::{Begin, fresh};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use crate::{
    door::{self, Body, Door},
    fault::Fault,
    render::Render,
    request::Asked,
    speech::{self, COMMENT, Gone, KEEP_ALIVE, Speech},
    talk::{Leash, Moment, Talk},
};

/// Answers a request whose model is a provider's.
pub(crate) async fn answer(
    door: &Door,
    asked: Asked,
    target: Target,
    principal: &str,
) -> Result<Response<Body>, Fault> {
    let run = fresh()?;
    let ear = door.crew.ears().listen(&run);
    let begin = Begin {
        agent: agent(&asked, &target),
        task: asked.body.clone(),
        earlier: Vec::new(),
        account: door.crew.rights().account(principal, asked.account.clone(), None),
        principal: principal.to_owned(),
    };
    door.runs.begin_as(run.clone(), begin).await?;
    let leash = Leash::new(&door.runs, run.clone(), principal);
    let mut talk = Talk::new(&door.runs, run.clone(), ear);
    let model = asked.wants.model.clone();
    if !asked.wants.stream {
        return Ok(door::of_run(in_whole(&asked, &mut talk, leash).await, &run));
    }
    // Whether there is an answer is said in the first line of the response: it is waited for.
    let response = match talk.next().await {
        Moment::Heard(Heard::Over { result: Err(failure), raw }) => {
            let response = refused(asked.dialect, failure, raw);
            let _is_over = ended(&mut talk, leash).await;
            response
        }
        Moment::Over(over) => over_without_a_word(over, leash).response(asked.dialect),
        Moment::Heard(first) => {
            let (speech, response) = Speech::open();
            let piper = Piper {
                render: Render::new(asked.dialect, run.as_str(), &model, asked.wants.include_usage),
                include_usage: asked.wants.include_usage,
                dialect: asked.dialect,
                verbatim: false,
                told_of_a_fault: false,
            };
            tokio::spawn(piped(piper, speech, first, talk, leash));
            response
        }
    };
    Ok(door::of_run(response, &run))
}

/// What such a run begins with: nobody's agent.
fn agent(asked: &Asked, target: &Target) -> Agent {
    Agent {
        // An agent of a file has no colon in its name.
        name: format!("relay:{}", asked.dialect.as_str()),
        instructions: String::new(),
        // The clients try again by themselves, and show it to people who wait.
        model: ModelPolicy { retries: 0, ..ModelPolicy::only(target.clone()) },
        tools: Vec::new(),
        agents: Vec::new(),
        phases: Vec::new(),
        board: false,
        output: None,
        extra: None,
        limits: Limits::default(),
        budget: std::collections::BTreeMap::new(),
        relay: Some(asked.relay.clone()),
        rehearses: None,
    }
}

async fn in_whole(asked: &Asked, talk: &mut Talk, leash: Leash) -> Response<Body> {
    let mut said = None;
    let over = loop {
        match talk.next().await {
            Moment::Heard(Heard::Over { result, raw }) => said = Some((result, raw)),
            // It comes whole at the end.
            Moment::Heard(_) => {}
            Moment::Over(over) => break over,
        }
    };
    match said {
        Some((Ok(answer), raw)) => {
            if let Err(fault) = over {
                // What is not on record was not said.
                return fault.response(asked.dialect);
            }
            let mut leash = leash;
            leash.dismiss();
            if raw.trim_ascii_start().starts_with(b"{") {
                return door::json(StatusCode::OK, Bytes::from(raw));
            }
            let render = Render::new(asked.dialect, talk.run.as_str(), &asked.wants.model, true);
            door::whole(StatusCode::OK, &render.whole(&answer))
        }
        Some((Err(failure), raw)) => {
            let mut leash = leash;
            leash.dismiss();
            refused(asked.dialect, failure, raw)
        }
        None => over_without_a_word(over, leash).response(asked.dialect),
    }
}

fn over_without_a_word(over: Result<Box<cella_kernel::State>, Fault>, mut leash: Leash) -> Fault {
    match over {
        Ok(state) => {
            leash.dismiss();
            Fault::of_run(&state)
        }
        Err(fault) => fault,
    }
}

/// Waits until the run is over, which is a moment after its answer.
async fn ended(talk: &mut Talk, mut leash: Leash) -> Result<(), Fault> {
    loop {
        if let Moment::Over(over) = talk.next().await {
            leash.dismiss();
            return over.map(drop);
        }
    }
}

/// What a provider refused, in its own words where they are the client's too.
fn refused(dialect: Dialect, failure: Failure, raw: Vec<u8>) -> Response<Body> {
    let own = raw.trim_ascii_start().starts_with(b"{") && failure.class != FailureClass::Auth;
    let status = failure.status.and_then(|status| StatusCode::from_u16(status).ok()).filter(|_| own);
    let retry_after_ms = failure.retry_after_ms;
    let Some(status) = status else { return Fault::Provider(failure).response(dialect) };
    let mut response = door::json(status, Bytes::from(raw));
    if let Some(ms) = retry_after_ms {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
    }
    response
}

/// Writes what is heard for the client.
struct Piper {
    render: Render,
    include_usage: bool,
    dialect: Dialect,
    /// The provider's own events go out.
    verbatim: bool,
    told_of_a_fault: bool,
}

async fn piped(mut piper: Piper, speech: Speech, first: Heard, mut talk: Talk, mut leash: Leash) {
    let mut heard = Some(first);
    loop {
        let said = match heard.take() {
            Some(heard) => piper.heard(heard),
            None => tokio::select! {
                moment = talk.next() => match moment {
                    Moment::Heard(heard) => piper.heard(heard),
                    Moment::Over(over) => {
                        let last = piper.over(over);
                        leash.dismiss();
                        let _gone_or_told = speech.say(last).await;
                        return;
                    }
                },
                // Nobody reads on: what is still to come is paid for nobody. The leash ends the run.
                () = speech.gone() => return,
                () = tokio::time::sleep(KEEP_ALIVE) => COMMENT.to_owned(),
            },
        };
        if let Err(Gone) = speech.say(said).await {
            return;
        }
    }
}

impl Piper {
    fn heard(&mut self, heard: Heard) -> String {
        match heard {
            Heard::Event { name, data } => {
                self.verbatim = true;
                if !self.include_usage && self.dialect == Dialect::Chat && is_usage_alone(&data) {
                    return String::new();
                }
                self.told_of_a_fault |= is_fault(&name, &data);
                speech::event(&name, &data)
            }
            Heard::Delta(delta) => self.render.delta(&delta),
            Heard::Over { result: Ok(_), .. } if self.verbatim => String::new(),
            Heard::Over { result: Ok(answer), .. } => self.render.end(&answer),
            Heard::Over { result: Err(failure), .. } => self.fault(&Fault::Provider(failure)),
            _ => String::new(),
        }
    }

    /// What is said when the run is over: nothing more where all was said.
    fn over(&mut self, over: Result<Box<cella_kernel::State>, Fault>) -> String {
        match over {
            Ok(state) if state.ending().is_some_and(|ending| ending.code.is_none()) => String::new(),
            Ok(state) => self.fault(&Fault::of_run(&state)),
            Err(fault) => self.fault(&fault),
        }
    }

    fn fault(&mut self, fault: &Fault) -> String {
        if std::mem::replace(&mut self.told_of_a_fault, true) {
            return String::new();
        }
        fault.event(self.dialect)
    }
}

/// The event that Cella asked for and the client did not.
fn is_usage_alone(data: &str) -> bool {
    if !data.contains("\"usage\"") {
        return false;
    }
    let value: Value = serde_json::from_str(data).unwrap_or_default();
    value["choices"].as_array().is_some_and(Vec::is_empty) && value["usage"].is_object()
}

fn is_fault(name: &str, data: &str) -> bool {
    if name == "error" || name == "response.failed" {
        return true;
    }
    data.contains("\"error\"")
        && serde_json::from_str::<Value>(data).is_ok_and(|value| !value["error"].is_null())
}
