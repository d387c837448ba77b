//! `subscriptions/listen`: one stream of changes per request (2026-07-28, basic/patterns/subscriptions).

use std::sync::Arc;

use cella_mcp::{
    Id, ListKind, Message, Notification, Request, ServerFacts, codes,
    modern::{self, ListenFilter, Rejection},
    raw_json, raw_string,
};
use http::Response;
use serde_json::value::RawValue;

use super::{
    super::{
        Phase, Shared,
        body::Body,
        codes as ce,
        feed::{Feed, Framing, Gone},
        limits::WATCHED_MAX,
        reply::{self, code_data},
        request::Accept,
    },
    Reply, done, rejected,
};
use cella_transport::{Caller, Change, Interest, Scope, Service, TaskWatch, Watch};

/// A listen request: what its stream needs to know.
struct Listen {
    id: Id,
    watch: Watch,
    tasks: Option<TaskWatch>,
    facts: Arc<ServerFacts>,
    /// How a pipe says that it ends; over HTTP the end of the stream says so.
    cancels: bool,
}

/// The stream that answers a listen request.
pub(super) async fn over_http<S: Service>(
    shared: &Arc<Shared<S>>,
    scope: &Scope,
    request: &Request,
    caller: &Arc<Caller>,
    facts: Arc<ServerFacts>,
) -> Response<Body> {
    let json = Accept { json: true, stream: false };
    let listen = match open(shared, scope, request, caller, facts).await {
        Ok(listen) => listen,
        Err(reply) => return reply.response(json),
    };
    let Some(counted) = shared.streams.enter(shared.limits.streams) else {
        return too_many(request).response(json);
    };
    let feed = Feed::new(Framing::Events);
    let reader = feed.attach(None, Some(shared.limits.keep_alive));
    let shared_ = shared.clone();
    shared.spawn(counted, async move {
        tokio::select! {
            _ = listen.run(&shared_, &feed) => feed.end(),
            () = feed.abandoned(std::time::Duration::ZERO) => {}
        }
    });
    reply::stream(reader)
}

/// The same on a pipe, until it is cancelled.
pub(super) async fn over_pipe<S: Service>(
    shared: &Arc<Shared<S>>,
    scope: &Scope,
    request: &Request,
    caller: &Arc<Caller>,
    facts: Arc<ServerFacts>,
    feed: &Feed,
) {
    let _closed = match open(shared, scope, request, caller, facts).await {
        Ok(listen) => Listen { cancels: true, ..listen }.run(shared, feed).await.is_err(),
        Err(reply) => feed.send(&reply.message).await.is_err(),
    };
}

async fn open<S: Service>(
    shared: &Shared<S>,
    scope: &Scope,
    request: &Request,
    caller: &Arc<Caller>,
    facts: Arc<ServerFacts>,
) -> Result<Listen, Reply> {
    let refuse = |error| rejected(Some(request.id.clone()), Rejection { status: 400, error });
    let ListenFilter { tools, prompts, resources, uris, task_ids } =
        modern::read_filter(request.params.as_deref()).map_err(refuse)?;
    if uris.len() > WATCHED_MAX || task_ids.len() > WATCHED_MAX {
        let mut rejection =
            Rejection::new(400, codes::INVALID_PARAMS, format!("more than {WATCHED_MAX} resources or tasks"));
        rejection.error.data = code_data(ce::CANNOT_WATCH);
        return Err(rejected(Some(request.id.clone()), rejection));
    }
    shared.service.make_watchable(scope, &uris).await;
    let watch = shared.service.watch(scope, caller, Interest { tools, prompts, resources, uris });
    let tasks =
        (!task_ids.is_empty()).then(|| shared.service.watch_tasks(scope, caller, &task_ids)).flatten();
    Ok(Listen { id: request.id.clone(), watch, tasks, facts, cancels: false })
}

fn too_many(request: &Request) -> Reply {
    let mut rejection = Rejection::new(503, codes::INTERNAL_ERROR, "too many streams are open");
    rejection.error.data = code_data(ce::TOO_MANY_CALLS);
    rejected(Some(request.id.clone()), rejection)
}

// === impl Listen ===

impl Listen {
    /// Acknowledges, then tells every change, then ends the way clients can tell from a broken connection.
    async fn run<S: Service>(mut self, shared: &Shared<S>, feed: &Feed) -> Result<(), Gone> {
        let Interest { tools, prompts, resources, uris } = self.watch.granted.clone();
        let task_ids = self.tasks.as_ref().map(|tasks| tasks.granted.clone()).unwrap_or_default();
        let granted = ListenFilter { tools, prompts, resources, uris, task_ids };
        if let Some(settled) = self.watch.settled.take() {
            let _told_or_given_up = settled.await;
        }
        feed.send(&Message::Notification(modern::acknowledged(&self.id, &granted))).await?;
        let mut draining = std::pin::pin!(shared.reached(Phase::Draining));
        loop {
            let note = tokio::select! {
                biased;
                change = self.watch.changes.recv() => change.map(|change| self.notification(change)),
                state = next_state(&mut self.tasks) => Some(self.marked(&state.method, state.params.as_deref())),
                () = &mut draining => None,
            };
            let Some(note) = note else { break };
            feed.send(&Message::Notification(note)).await?;
        }
        let result = modern::listen_result(&self.id, self.facts.info.as_deref());
        feed.send(&done(self.id.clone(), Ok(result))).await?;
        if self.cancels {
            // patterns/subscriptions wants the result alone, patterns/cancellation this as well; only a pipe needs it
            let cancelled = cella_mcp::legacy::cancelled(&self.id, Some("the server ended the subscription"));
            feed.send(&Message::Notification(cancelled)).await?;
        }
        Ok(())
    }

    fn notification(&self, change: Change) -> Notification {
        let (method, params) = match change {
            Change::Tools => (ListKind::Tools.changed(), None),
            Change::Prompts => (ListKind::Prompts.changed(), None),
            Change::Resources => (ListKind::Resources.changed(), None),
            Change::Updated { uri, params } => {
                let own = || raw_json(format!("{{\"uri\":{}}}", raw_string(&uri).get())).ok();
                ("notifications/resources/updated", params.or_else(own))
            }
            // not asked for by any filter, and not given to modern callers
            Change::Told(note) => return note,
        };
        self.marked(method, params.as_deref())
    }

    /// As what belongs to this stream.
    fn marked(&self, method: &str, params: Option<&RawValue>) -> Notification {
        Notification { method: method.into(), params: Some(modern::with_subscription_id(params, &self.id)) }
    }
}

/// The next state of a task; never when no task is watched, or no more is said of any.
async fn next_state(tasks: &mut Option<TaskWatch>) -> Notification {
    if let Some(watch) = tasks
        && let Some(state) = watch.states.recv().await
    {
        return state;
    }
    std::future::pending().await
}
