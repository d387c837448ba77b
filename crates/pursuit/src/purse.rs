//! What runs spend: the book of all accounts, folded from the ledger when the first run begins, and kept from then on by those who
//! reserve and settle.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cella_agreement::{Amounts, Book, Budget, Exhausted, Left, Limits, ReservationId};
use cella_event::{Kind, Map, Micros, RunId, Seq};
use cella_kernel::Agent;
use cella_ledger::{Filter, Reader};
use tokio::sync::OnceCell;

use crate::LoadError;

/// What a run may spend whose agent's file says nothing. A run that goes in circles ends here, if nowhere else: some dollars of most
/// models.
pub const RUN_TOKENS: u64 = 2_000_000;

/// Events that the book is folded from.
pub const SPENDING: [Kind; 10] = [
    Kind::RunStarted,
    Kind::RunForked,
    Kind::RunResumed,
    Kind::ModelIntended,
    Kind::ModelCompleted,
    Kind::ModelFailed,
    Kind::CallIntended,
    Kind::CallCompleted,
    Kind::CallFailed,
    Kind::CallCancelled,
];

/// The book of a node. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Purse {
    budgets: Arc<Mutex<BTreeMap<String, Budget>>>,
    book: Arc<OnceCell<Mutex<Book>>>,
}

impl Purse {
    /// Opens the book where it is not open yet.
    pub(crate) async fn open(&self, reader: Reader) -> Result<(), LoadError> {
        let budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let opened = self.book.get_or_try_init(|| async move {
            let folded = tokio::task::spawn_blocking(move || folded(&reader, budgets)).await;
            folded.unwrap_or_else(|_| Err(cella_ledger::ReadError::Closed.into())).map(Mutex::new)
        });
        opened.await.map(drop)
    }

    pub(crate) fn set_budgets(&self, budgets: BTreeMap<String, Budget>) {
        if let Some(book) = self.book() {
            locked(book).set_budgets(budgets.clone());
        }
        *self.budgets.lock().unwrap_or_else(PoisonError::into_inner) = budgets;
    }

    pub(crate) fn begin(
        &self,
        run: &RunId,
        account: Option<&str>,
        parent: Option<&RunId>,
        limits: Option<Limits>,
    ) {
        self.with(|book| book.begin(run, account, parent, limits));
    }

    pub(crate) fn fork(&self, run: &RunId, from: &RunId, at: Seq) {
        self.with(|book| book.fork(run, from, at));
    }

    pub(crate) fn reserve(
        &self,
        id: ReservationId,
        run: &RunId,
        upper: Amounts,
        at: Micros,
    ) -> Result<(), Exhausted> {
        self.book().map_or(Ok(()), |book| locked(book).reserve(id, run, upper, at))
    }

    pub(crate) fn settle(&self, id: &ReservationId, actual: Amounts, seq: Seq, at: Micros) {
        self.with(|book| book.settle(id, actual, seq, at));
    }

    pub(crate) fn release(&self, id: &ReservationId) {
        self.with(|book| book.release(id));
    }

    pub(crate) fn reserved(&self, id: &ReservationId) -> Amounts {
        self.book().and_then(|book| locked(book).reserved(id)).unwrap_or_default()
    }

    pub(crate) fn forfeit_calls(&self, run: &RunId, seq: Seq, at: Micros) {
        self.with(|book| book.forfeit_calls(run, seq, at));
    }

    pub(crate) fn counts_money(&self, run: &RunId) -> bool {
        self.book().is_some_and(|book| locked(book).counts_money(run))
    }

    pub(crate) fn left_of_run(&self, run: &RunId, at: Micros) -> Option<Left> {
        self.book().map(|book| locked(book).left_of_run(run, at))
    }

    fn with(&self, change: impl FnOnce(&mut Book)) {
        if let Some(book) = self.book() {
            change(&mut locked(book));
        }
    }

    fn book(&self) -> Option<&Mutex<Book>> {
        self.book.get()
    }
}

/// What an agent's file says that a run of it may spend.
pub(crate) fn limits(agent: &Agent) -> Option<Limits> {
    if agent.budget.is_empty() {
        return None;
    }
    let mut map = Map::new();
    for (field, limit) in &agent.budget {
        if let Some(key) = cella_event::Key::new(field.clone()) {
            map.insert(key, cella_event::Int::saturating(*limit));
        }
    }
    Some(Limits::from_map(&map))
}

fn folded(reader: &Reader, budgets: BTreeMap<String, Budget>) -> Result<Book, LoadError> {
    let mut book = Book::new(budgets, Limits { tokens: Some(RUN_TOKENS), ..Limits::default() });
    let filter = Filter { kinds: SPENDING.to_vec(), limit: Some(usize::MAX), ..Filter::default() };
    for entry in reader.query(&filter)?.entries {
        book.fold(&entry.event);
    }
    Ok(book)
}

fn locked(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
