//! The endpoint.

use std::{collections::HashMap, sync::Arc};

use cella_agency::{ApiError, Crew, follow};
use cella_event::RunId;
use cella_kernel::{EndStatus, State, StepId};
use cella_ledger::Ledger;
use cella_mcp::{Notification, Object, Raw, Revision, RpcError, ServerFacts, codes, member, raw_json};
use cella_pursuit::{Begin, Runs};
use cella_transport::{Answer, Ask, AskKey, Call, Exchange, Failure, Fault, FaultKind, Reply, Step};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::questions::{Question, Word, question, word};

/// The name under which the endpoint stands among the servers', `/mcp/servers/agents`, unless a server has it.
pub const SERVER: &str = "agents";

const INSTRUCTIONS: &str = "Each tool is an agent that takes a task in words and works on it until it is done. Calls that cannot be taken back wait for the user's agreement.";

/// A tool of this name is none.
const NO_AGENT: &str = "CE1610";
/// A task did not get done.
const NOT_DONE: &str = "CE1611";

/// The agents of a node, as tools. Cheap to clone.
#[derive(Clone)]
pub struct Agents {
    runs: Runs<Crew>,
    crew: Arc<Crew>,
    ledger: Ledger,
}

/// What a client wants done.
struct Task {
    agent: String,
    text: String,
    progress: Option<Raw>,
}

/// One run, told to the client that wants it.
struct Telling {
    agents: Agents,
    run: RunId,
    principal: Arc<str>,
    can_be_asked: bool,
    progress: Option<Raw>,
    told: u32,
    asked: HashMap<AskKey, Question>,
    next: u64,
    steps: mpsc::Sender<Step>,
}

// === impl Agents ===

impl Agents {
    /// The agents of a crew.
    #[must_use]
    pub const fn new(runs: Runs<Crew>, crew: Arc<Crew>, ledger: Ledger) -> Self {
        Self { runs, crew, ledger }
    }

    /// What the endpoint says of itself.
    #[must_use]
    pub fn facts(&self) -> Arc<ServerFacts> {
        let mut info = Object::empty();
        info.set_str("name", "cella-agents");
        info.set_str("version", env!("CARGO_PKG_VERSION"));
        Arc::new(ServerFacts {
            revisions: Revision::ALL.to_vec(),
            capabilities: raw(&json!({ "tools": {} })),
            info: Some(info.to_raw()),
            instructions: Some(INSTRUCTIONS.into()),
        })
    }

    /// Answers a request of a client.
    pub async fn call(&self, call: Call) -> Exchange {
        match &*call.method {
            "tools/list" => Exchange::ready(Answer::own(Ok(self.list(&call.caller.principal)))),
            "tools/call" => match self.begin(&call).await {
                Ok(exchange) => exchange,
                Err(failure) => Exchange::ready(Answer::own(Err(failure))),
            },
            other => {
                let message = format!("{other} is not known here: the agents are tools and nothing else");
                let error = RpcError { code: codes::METHOD_NOT_FOUND, message, data: None };
                Exchange::ready(Answer::own(Err(Failure::Peer(error))))
            }
        }
    }

    fn list(&self, principal: &str) -> Raw {
        let tools = self.crew.agents_for(principal).into_iter().map(|name| {
            let described = self.crew.config(&name).map(|config| config.description).unwrap_or_default();
            let description = if described.is_empty() { format!("Gives the agent {name} a task.") } else { described };
            json!({
                "name": name,
                "description": description,
                "inputSchema": {
                    "type": "object", "required": ["task"], "additionalProperties": false,
                    "properties": { "task": { "type": "string", "description": "What it is to do, in words." } },
                },
            })
        });
        let tools: Vec<Value> = tools.collect();
        raw(&json!({ "resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private" }))
    }

    async fn begin(&self, call: &Call) -> Result<Exchange, Failure> {
        let Task { agent: name, text, progress } = task(call)?;
        let known = self.crew.agents_for(&call.caller.principal);
        if !known.contains(&name) {
            let known = known.join(", ");
            return Err(fault(
                FaultKind::NotFound,
                NO_AGENT,
                format!("there is no agent {name}: there are {known}"),
            ));
        }
        let refused = |why: ApiError| fault(FaultKind::Unavailable, NOT_DONE, why.to_string());
        let agent = self.crew.agent(&name).await.map_err(|fault| refused(fault.into()))?;
        let account = self.crew.config(&name).map_err(|fault| refused(fault.into()))?.account;
        let principal = Arc::clone(&call.caller.principal);
        let account = self.crew.rights().account(&principal, None, account);
        let begin =
            Begin { agent, task: text, earlier: Vec::new(), account, principal: principal.to_string() };
        let run = self.runs.begin(begin).await.map_err(|fault| refused(fault.into()))?;
        // Whose word would not count is not asked for it.
        let may_approve = self.crew.rights().approve(&principal, &name).is_ok();
        let capabilities: Value = serde_json::from_str(call.caller.capabilities.get()).unwrap_or_default();
        let (performer, exchange) = Exchange::live();
        let (steps, replies, alive) = performer.split();
        let telling = Telling {
            agents: self.clone(),
            run,
            principal,
            can_be_asked: capabilities["elicitation"].is_object() && may_approve,
            progress,
            told: 0,
            asked: HashMap::new(),
            next: 0,
            steps,
        };
        tokio::spawn(telling.tell(replies, alive));
        Ok(exchange)
    }
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agents").finish_non_exhaustive()
    }
}

// === impl Telling ===

impl Telling {
    /// Until the run is over, or the client is gone: then the run is cancelled, because whoever gave the task does not want it any more.
    async fn tell(
        mut self,
        mut replies: mpsc::UnboundedReceiver<Reply>,
        mut alive: tokio::sync::oneshot::Receiver<()>,
    ) {
        let facts = match follow(&self.agents.ledger, self.run.clone()).await {
            Ok(facts) => facts,
            Err(why) => return self.done(Err(not_done(&self.run, &why.to_string()))).await,
        };
        let mut facts = Box::pin(facts);
        let (runs, run) = (self.agents.runs.clone(), self.run.clone());
        let mut over = Box::pin(async move { runs.finished(&run).await });
        let mut pursued = true;
        loop {
            tokio::select! {
                fact = facts.next() => match fact {
                    Some(fact) => self.heard(&fact).await,
                    // Its end is on record.
                    None => break,
                },
                Some((key, reply)) = replies.recv() => self.answered(key, reply).await,
                _gone = &mut alive => return self.given_up().await,
                broken = &mut over, if pursued => {
                    pursued = false;
                    if let Some(Err(broken)) = broken {
                        return self.done(Err(not_done(&self.run, &broken.to_string()))).await;
                    }
                }
            }
        }
        let known = self.agents.runs.show(&self.run).await;
        let result = match known {
            Ok(known) => self.result(&known.state),
            Err(why) => Err(not_done(&self.run, &why.to_string())),
        };
        self.done(result).await;
    }

    async fn heard(&mut self, line: &Value) {
        if let Some(text) = line["fact"]["text"].as_str() {
            self.progress(text).await;
        }
        if line.get("state").is_none() {
            return;
        }
        let Ok(known) = self.agents.runs.show(&self.run).await else { return };
        if let Some((code, why)) = known.state.pause() {
            let text = format!("paused ({code}): {why}; go on with: cella resume {}", self.run);
            self.progress(&text).await;
        }
        for waiting in known.state.waiting() {
            let wanted = Question { step: waiting.step, in_doubt: waiting.in_doubt };
            if self.asked.values().any(|asked| *asked == wanted) {
                continue;
            }
            self.next += 1;
            let key = AskKey(self.next);
            self.asked.insert(key, wanted);
            if !self.can_be_asked {
                let verb = if waiting.in_doubt { "resolve" } else { "approve" };
                self.progress(&format!("waits for somebody: cella {verb} {} {}", self.run, waiting.step))
                    .await;
                continue;
            }
            let params = question(self.run.as_str(), &waiting);
            let ask = Ask { key, method: "elicitation/create".into(), params };
            let _gone = self.steps.send(Step::Ask(ask)).await.is_err();
        }
    }

    async fn answered(&mut self, key: AskKey, reply: Result<Raw, RpcError>) {
        let Some(asked) = self.asked.get(&key).copied() else { return };
        let said = match &reply {
            Ok(result) => word(asked, result.get()),
            Err(_) => Word::Silent,
        };
        let step: StepId = asked.step;
        match said {
            Word::Decided(decision) => {
                // Somebody else may have been quicker.
                if let Err(why) = self.agents.runs.decide(&self.run, step, decision, &self.principal).await {
                    tracing::debug!(run = %self.run, %step, %why, "an answer was not taken");
                }
            }
            Word::Silent => {
                self.progress(&format!("{step} waits for somebody: cella show {}", self.run)).await;
            }
        }
    }

    async fn progress(&mut self, message: &str) {
        let Some(token) = &self.progress else { return };
        self.told += 1;
        let mut params = Object::empty();
        params.set("progressToken", token);
        params.set_i64("progress", i64::from(self.told));
        params.set_str("message", message);
        let notification =
            Notification { method: "notifications/progress".into(), params: Some(params.to_raw()) };
        let _gone = self.steps.send(Step::Notify(notification)).await.is_err();
    }

    fn result(&self, state: &State) -> Result<Raw, Failure> {
        let ending = state.ending();
        let (text, failed) = match ending {
            Some(ending) if ending.status == EndStatus::Completed => (ending.output.clone(), false),
            Some(ending) => {
                let why = ending.why.as_deref().unwrap_or("no reason given");
                let code = ending.code.as_deref().map(|code| format!(" [{code}]")).unwrap_or_default();
                (format!("the agent did not get there ({}): {why}{code}", ending.status.as_str()), true)
            }
            None => return Err(not_done(&self.run, "its ledger ended before it did")),
        };
        let meta = json!({ "io.cella/run": self.run.as_str() });
        Ok(raw(&json!({
            "resultType": "complete", "content": [{ "type": "text", "text": text }], "isError": failed, "_meta": meta,
        })))
    }

    async fn given_up(&self) {
        let by = format!("{} (gave it up)", self.principal);
        // It may have ended in this moment, which is as well.
        if let Err(why) = self.agents.runs.cancel(&self.run, &by).await {
            tracing::debug!(run = %self.run, %why, "not cancelled");
        }
    }

    async fn done(&self, outcome: Result<Raw, Failure>) {
        let _gone = self.steps.send(Step::Done(Answer::own(outcome))).await.is_err();
    }
}

fn task(call: &Call) -> Result<Task, Failure> {
    let params: Value =
        call.params.as_ref().and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
    let invalid = |message: &str| {
        Failure::Peer(RpcError { code: codes::INVALID_PARAMS, message: message.to_owned(), data: None })
    };
    let agent = params["name"].as_str().ok_or_else(|| invalid("expected the name of a tool"))?.to_owned();
    let text = params["arguments"]["task"].as_str().filter(|text| !text.trim().is_empty());
    let text =
        text.ok_or_else(|| invalid("expected arguments.task: what the agent is to do, in words"))?.to_owned();
    let meta = call.params.as_ref().and_then(|params| member(params, "_meta"));
    let progress = meta.and_then(|meta| member(meta, "progressToken")).map(ToOwned::to_owned);
    Ok(Task { agent, text, progress })
}

fn not_done(run: &RunId, why: &str) -> Failure {
    let message = format!("the run {run} broke off: {why}; go on with: cella resume {run}");
    fault(FaultKind::Unavailable, NOT_DONE, message)
}

fn fault(kind: FaultKind, code: &'static str, message: String) -> Failure {
    Failure::Fault(Fault { kind, code, message, fix: None, in_doubt: false })
}

fn raw(value: &Value) -> Raw {
    // Our own values are JSON.
    raw_json(value.to_string()).unwrap_or_else(|_| Object::empty().to_raw())
}
