//! Servers in memory that behave as they are told.

use std::{
    collections::{BTreeMap, HashMap},
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use cella_link::{LinkError, LinkEvent};
use cella_mcp::{Era, ListPage, Raw, Revision, ServerFacts, call_target, cursor, raw_json};
use cella_transport::{Answer, Ask, AskKey, Call, Caller, Exchange, Failure, Fault, FaultKind, Scope, Step};
use tokio::{sync::mpsc, time::sleep};

use crate::{
    BoxFuture, Catalog, CatalogPlan, Connected, Instance, InstanceKey, Launch, LaunchError, Launched,
    ListKey, ListStore, Options, Resolved, ServerList, ServerPlan, ServerStatus, Upstream, View,
};
use cella_mcp::ListKind;

pub(super) fn era() -> Era {
    Revision::ALL[4].era()
}

/// What a server does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flaw {
    #[default]
    None,
    /// The handshake never ends.
    HangsAtStart,
    /// The process ends at once.
    DiesAtStart,
    /// It answers with something that is no list.
    Garbage,
    /// Calls are never answered.
    HangsAtCalls,
    /// Calls end the process.
    DiesAtCalls,
    /// Calls ask the client something and wait for ever.
    Asks,
}

/// One server: what it does, and what was seen of it.
pub(super) struct FakeServer {
    pub(super) fault: Mutex<Flaw>,
    pub(super) start_time: Mutex<Duration>,
    pub(super) capabilities: Mutex<String>,
    /// Full results by method; the cursor, if any, after a space.
    pub(super) results: Mutex<BTreeMap<String, String>>,
    pub(super) launches: AtomicUsize,
    pub(super) running: AtomicUsize,
    pub(super) most_running: AtomicUsize,
    pub(super) fetches: AtomicUsize,
    pub(super) seen: Mutex<Vec<(InstanceKey, Call)>>,
    /// Whose instance was asked for a list.
    pub(super) listed: Mutex<Vec<InstanceKey>>,
    pub(super) subscribed: Mutex<Vec<Vec<String>>>,
    /// The tasks that an instance was last asked to tell of.
    pub(super) tasks: Mutex<Vec<(InstanceKey, Vec<Box<str>>)>>,
    /// Instances that were told that the server asks within calls.
    pub(super) taking_turns: AtomicUsize,
    events: Mutex<Vec<(InstanceKey, mpsc::Sender<LinkEvent>)>>,
}

impl Default for FakeServer {
    fn default() -> Self {
        let capabilities = r#"{"tools":{"listChanged":true},"resources":{"subscribe":true},"prompts":{}}"#;
        Self {
            fault: Mutex::default(),
            start_time: Mutex::default(),
            capabilities: Mutex::new(capabilities.into()),
            results: Mutex::default(),
            launches: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            fetches: AtomicUsize::new(0),
            seen: Mutex::default(),
            listed: Mutex::default(),
            subscribed: Mutex::default(),
            tasks: Mutex::default(),
            taking_turns: AtomicUsize::new(0),
            events: Mutex::default(),
        }
    }
}

impl FakeServer {
    pub(super) fn with_tools(tools: &[&str]) -> Arc<Self> {
        let this = Self::default();
        this.set_tools(tools);
        Arc::new(this)
    }

    pub(super) fn set_tools(&self, tools: &[&str]) {
        let tools: Vec<String> = tools.iter().map(|t| format!(r#"{{"name":"{t}"}}"#)).collect();
        self.set(
            "tools/list",
            &format!(r#"{{"tools":[{}],"ttlMs":60000,"cacheScope":"public"}}"#, tools.join(",")),
        );
    }

    pub(super) fn set(&self, method: &str, result: &str) {
        self.results.lock().unwrap().insert(method.into(), result.into());
    }

    pub(super) fn set_fault(&self, fault: Flaw) {
        *self.fault.lock().unwrap() = fault;
    }

    fn fault(&self) -> Flaw {
        *self.fault.lock().unwrap()
    }

    /// Every instance says this.
    pub(super) async fn say(&self, event: impl Fn() -> LinkEvent) {
        self.say_in(|_| true, event).await;
    }

    /// Some instances say this.
    pub(super) async fn say_in(&self, which: impl Fn(&InstanceKey) -> bool, event: impl Fn() -> LinkEvent) {
        let senders = self.events.lock().unwrap().clone();
        for (_, sender) in senders.into_iter().filter(|(key, _)| which(key)) {
            let _gone = sender.send(event()).await.is_err();
        }
    }

    /// Ends every instance.
    pub(super) async fn kill(&self) {
        self.say(|| LinkEvent::Closed(LinkError::Closed { why: "killed by signal 9".into() })).await;
    }

    pub(super) fn launches(&self) -> usize {
        self.launches.load(Ordering::SeqCst)
    }

    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    pub(super) fn calls(&self) -> Vec<(InstanceKey, String)> {
        self.seen.lock().unwrap().iter().map(|(k, c)| (k.clone(), c.method.to_string())).collect()
    }

    fn answer(&self, call: &Call) -> Result<Raw, Failure> {
        let at = cursor(call.params.as_deref()).map(|c| format!(" {c}")).unwrap_or_default();
        let results = self.results.lock().unwrap();
        match results.get(&format!("{}{at}", call.method)) {
            Some(result) => Ok(raw_json(result.clone()).unwrap()),
            None if call.method.ends_with("/list") => {
                let kind = ListKind::of_method(&call.method).unwrap();
                Ok(raw_json(format!(r#"{{"{}":[]}}"#, kind.member())).unwrap())
            }
            None => {
                let target = call_target(&call.method, call.params.as_deref()).map(|t| t.name.into_owned());
                Ok(raw_json(format!(r#"{{"called":{:?}}}"#, target.unwrap_or_default())).unwrap())
            }
        }
    }
}

/// One instance.
struct FakeInstance {
    server: Arc<FakeServer>,
    key: InstanceKey,
    dead: AtomicBool,
    events: mpsc::Sender<LinkEvent>,
}

impl Upstream for FakeInstance {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Exchange> {
        Box::pin(async move {
            let is_list = call.method.ends_with("/list");
            if is_list {
                self.server.fetches.fetch_add(1, Ordering::SeqCst);
                self.server.listed.lock().unwrap().push(self.key.clone());
            } else {
                self.server.seen.lock().unwrap().push((self.key.clone(), call.clone()));
            }
            match self.server.fault() {
                Flaw::Garbage => Exchange::ready(Answer { era: era(), outcome: Ok(raw_json("7").unwrap()) }),
                Flaw::HangsAtCalls if !is_list => pending().await,
                Flaw::Asks if !is_list => {
                    let (performer, exchange) = Exchange::live();
                    let (steps, replies, alive) = performer.split();
                    let ask = Ask { key: AskKey(0), method: "elicitation/create".into(), params: None };
                    steps.send(Step::Ask(ask)).await.unwrap();
                    tokio::spawn(async move { (alive.await, steps, replies) });
                    exchange
                }
                Flaw::DiesAtCalls if !is_list => {
                    self.dead.store(true, Ordering::SeqCst);
                    let closed = LinkEvent::Closed(LinkError::Closed { why: "it died".into() });
                    self.events.send(closed).await.unwrap();
                    Exchange::fault(died())
                }
                _ => Exchange::ready(Answer { era: era(), outcome: self.server.answer(call) }),
            }
        })
    }

    fn facts(&self) -> Arc<ServerFacts> {
        let capabilities = raw_json(self.server.capabilities.lock().unwrap().clone()).unwrap();
        let revisions = Revision::ALL.to_vec();
        Arc::new(ServerFacts { revisions, capabilities, info: None, instructions: Some("Be brief.".into()) })
    }

    fn revision(&self) -> Revision {
        Revision::ALL[4]
    }

    fn take_turns(&self) {
        self.server.taking_turns.fetch_add(1, Ordering::SeqCst);
    }

    fn learn(&self, _tools: &ServerList) {}

    fn is_closed(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn subscribe(&self, uris: Vec<Box<str>>) -> BoxFuture<'_, ()> {
        let mut uris: Vec<String> = uris.into_iter().map(String::from).collect();
        uris.sort();
        self.server.subscribed.lock().unwrap().push(uris);
        Box::pin(async {})
    }

    fn watch_tasks(&self, ids: Vec<Box<str>>) {
        self.server.tasks.lock().unwrap().push((self.key.clone(), ids));
    }

    fn alive(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            if self.server.fault() == Flaw::HangsAtCalls {
                pending::<()>().await;
            }
            !self.dead.load(Ordering::SeqCst)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// A process, or rather the count of one.
struct FakeProcess(Arc<FakeServer>);

impl Instance for FakeProcess {
    fn stop(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async move {
            sleep(Duration::from_millis(20)).await;
            None
        })
    }

    fn pid(&self) -> Option<u32> {
        Some(4711)
    }

    fn stderr_tail(&self) -> Vec<String> {
        vec!["last words".into()]
    }

    fn exit(&self) -> Option<String> {
        (self.0.fault() == Flaw::DiesAtStart).then(|| "exit status 1".into())
    }
}

impl Drop for FakeProcess {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Launches fakes.
pub(super) struct FakeLauncher(pub(super) HashMap<String, Arc<FakeServer>>);

impl Launch for FakeLauncher {
    async fn launch(&self, server: &ServerPlan, key: &InstanceKey) -> Result<Launched, LaunchError> {
        let fake = self.0.get(&*server.name).unwrap().clone();
        fake.launches.fetch_add(1, Ordering::SeqCst);
        let running = fake.running.fetch_add(1, Ordering::SeqCst) + 1;
        fake.most_running.fetch_max(running, Ordering::SeqCst);
        let guard = Box::new(FakeProcess(fake.clone()));
        let key = key.clone();
        let connect = Box::pin(async move {
            let start_time = *fake.start_time.lock().unwrap();
            sleep(start_time).await;
            match fake.fault() {
                Flaw::HangsAtStart => pending().await,
                Flaw::DiesAtStart => Err(LaunchError {
                    kind: FaultKind::Crashed,
                    code: "CE3000",
                    message: "it closed its output".into(),
                    fix: None,
                }),
                _ => {
                    let (sender, events) = mpsc::channel(16);
                    fake.events.lock().unwrap().push((key.clone(), sender.clone()));
                    let upstream =
                        FakeInstance { server: fake, key, dead: AtomicBool::new(false), events: sender };
                    Ok(Connected { upstream: Arc::new(upstream), events })
                }
            }
        });
        Ok(Launched { connect, guard })
    }
}

/// Lists in memory.
#[derive(Default)]
pub(super) struct FakeStore(pub(super) Mutex<HashMap<ListKey, Vec<u8>>>);

impl ListStore for FakeStore {
    fn load(&self, key: &ListKey) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(key).cloned()
    }

    fn save(&self, key: &ListKey, bytes: &[u8]) {
        self.0.lock().unwrap().insert(key.clone(), bytes.to_vec());
    }
}

/// A catalogue over fakes, and a client of it.
pub(super) struct World {
    pub(super) catalog: Catalog,
    pub(super) servers: HashMap<String, Arc<FakeServer>>,
}

pub(super) fn plan(name: &str) -> ServerPlan {
    ServerPlan::new(name, [0; 32])
}

pub(super) fn plans(of: impl IntoIterator<Item = ServerPlan>) -> CatalogPlan {
    let servers = of.into_iter().map(|p| (p.name.clone(), Arc::new(p))).collect();
    CatalogPlan { servers, views: BTreeMap::<Box<str>, Arc<View>>::new() }
}

pub(super) fn options() -> Options {
    Options { random: Arc::new(|| 4), ..Options::default() }
}

pub(super) fn client(name: &str) -> Arc<Caller> {
    Arc::new(Caller { principal: name.into(), ..Caller::cella() })
}

impl World {
    pub(super) fn new(servers: &[(&str, Arc<FakeServer>)]) -> Self {
        Self::with(servers, plans(servers.iter().map(|(name, _)| plan(name))), options())
    }

    pub(super) fn with(servers: &[(&str, Arc<FakeServer>)], plan: CatalogPlan, options: Options) -> Self {
        let servers: HashMap<String, Arc<FakeServer>> =
            servers.iter().map(|(name, server)| ((*name).to_owned(), server.clone())).collect();
        Self { catalog: Catalog::new(plan, FakeLauncher(servers.clone()), options), servers }
    }

    pub(super) fn server(&self, name: &str) -> &FakeServer {
        &self.servers[name]
    }

    /// What a client gets for a list request, and for a list in full.
    pub(super) async fn list(&self, scope: Scope, kind: ListKind) -> Result<Raw, Failure> {
        done(self.catalog.list(kind, request(scope, kind.method(), None)).await).await
    }

    pub(super) async fn names(&self, scope: Scope, kind: ListKind) -> Vec<String> {
        let page = ListPage::parse(kind, &self.list(scope, kind).await.unwrap()).unwrap();
        page.items.iter().map(|i| i.name.to_string()).collect()
    }

    pub(super) async fn tools(&self) -> Vec<String> {
        self.names(Scope::All, ListKind::Tools).await
    }

    /// What a client gets for a request.
    pub(super) async fn ask(&self, scope: Scope, method: &str, params: &str) -> Result<String, Failure> {
        self.ask_as("ann", scope, method, params).await
    }

    pub(super) async fn ask_as(
        &self,
        who: &str,
        scope: Scope,
        method: &str,
        params: &str,
    ) -> Result<String, Failure> {
        let mut call = request(scope, method, Some(params));
        call.caller = client(who);
        match self.catalog.resolve(&call.scope, method, call.params.as_deref()).await? {
            Resolved::Own(raw) => Ok(raw.get().to_owned()),
            Resolved::Server(route) => {
                done(self.catalog.call(route, call).await).await.map(|raw| raw.get().to_owned())
            }
        }
    }

    pub(super) async fn call(&self, tool: &str) -> Result<String, Failure> {
        self.ask(Scope::All, "tools/call", &format!(r#"{{"name":"{tool}"}}"#)).await
    }

    pub(super) fn status(&self, name: &str) -> ServerStatus {
        self.catalog.status().into_iter().find(|s| &*s.name == name).unwrap()
    }

    /// Ends everything and checks that nothing is left.
    pub(super) async fn finish(self) {
        assert!(self.catalog.shutdown(Duration::from_secs(60)).await, "tasks are left");
        for (name, server) in &self.servers {
            assert_eq!(server.running(), 0, "{name} still runs");
        }
    }
}

pub(super) fn request(scope: Scope, method: &str, params: Option<&str>) -> Call {
    Call {
        scope,
        id: None,
        method: method.into(),
        params: params.map(|p| raw_json(p).unwrap()),
        caller: client("ann"),
        param_headers: Vec::new(),
        own_headers: Vec::new(),
    }
}

pub(super) async fn done(mut exchange: Exchange) -> Result<Raw, Failure> {
    loop {
        if let Step::Done(answer) = exchange.next().await {
            return answer.outcome;
        }
    }
}

pub(super) fn code(outcome: Result<String, Failure>) -> &'static str {
    match outcome {
        Err(Failure::Fault(fault)) => fault.code,
        other => panic!("{other:?}"),
    }
}

fn died() -> Fault {
    Fault { kind: FaultKind::Crashed, code: "CE3001", message: "died".into(), fix: None, in_doubt: true }
}
