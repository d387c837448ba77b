//! What was spent and what is reserved, on every account.

use std::collections::{BTreeMap, HashMap};

use cella_event::{CallId, Event, Kind, Micros, RunId, Seq};

use crate::{Amounts, Limits, Resource};

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// A limit on an account, and over which time it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Most of each resource.
    pub limits: Limits,
    /// In each of these.
    pub window: Window,
}

/// Over which time a budget holds. Times are those of events, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// Once and for all.
    #[default]
    Total,
    /// Each day anew.
    Day,
    /// Each month anew.
    Month,
}

/// Names a reservation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReservationId {
    /// For the open question of a run: there is never more than one.
    Question(RunId),
    /// For a call.
    Call(CallId),
}

/// A reservation that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the account {account} has {limit} {resource}: {spent} are spent, {reserved} reserved, and {wanted} more are wanted"
)]
pub struct Exhausted {
    /// The account that has not enough.
    pub account: String,
    /// Of what.
    pub resource: Resource,
    /// Its limit.
    pub limit: u64,
    /// What is spent of it.
    pub spent: u64,
    /// What is reserved of it.
    pub reserved: u64,
    /// What was to be reserved.
    pub wanted: u64,
}

/// Where an account stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// What it may spend.
    pub limits: Limits,
    /// What is spent, in the present window.
    pub spent: Amounts,
    /// What is reserved.
    pub reserved: Amounts,
}

/// All accounts.
#[derive(Clone, Debug, Default)]
pub struct Book {
    budgets: BTreeMap<String, Budget>,
    /// What a run may spend that says nothing itself.
    of_runs: Limits,
    accounts: BTreeMap<String, Account>,
    runs: HashMap<RunId, Run>,
    open: HashMap<ReservationId, Open>,
}

#[derive(Clone, Debug, Default)]
struct Account {
    /// Of a run: what it may spend itself.
    limits: Option<Limits>,
    spent: Amounts,
    reserved: Amounts,
    /// The day or month of `spent`.
    window: i64,
}

#[derive(Clone, Debug, Default)]
struct Run {
    /// From the organisation down to the run itself.
    chain: Vec<String>,
    /// What it had spent after which event, for forks.
    history: Vec<(Seq, Amounts)>,
}

#[derive(Clone, Debug)]
struct Open {
    run: RunId,
    upper: Amounts,
}

/// The accounts that an account path stands for, from the top: `a/b/c` is `a`, `a/b` and `a/b/c`.
pub fn accounts_above(path: &str) -> impl Iterator<Item = String> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.map(|end| path[..end].to_owned()).filter(|account| !account.is_empty())
}

// === impl Book ===

impl Book {
    /// A book with these budgets, in which a run that says nothing itself may spend `of_runs`.
    #[must_use]
    pub fn new(budgets: BTreeMap<String, Budget>, of_runs: Limits) -> Self {
        Self { budgets, of_runs, accounts: BTreeMap::new(), runs: HashMap::new(), open: HashMap::new() }
    }

    /// Other budgets from now on; what was spent stays.
    pub fn set_budgets(&mut self, budgets: BTreeMap<String, Budget>) {
        self.budgets = budgets;
    }

    /// A run begins: below its account, or below the run that gave it its task.
    pub fn begin(
        &mut self,
        run: &RunId,
        account: Option<&str>,
        parent: Option<&RunId>,
        limits: Option<Limits>,
    ) {
        let above = parent.and_then(|parent| self.runs.get(parent)).map(|parent| parent.chain.clone());
        let mut chain = above.unwrap_or_else(|| account.map(accounts_above).into_iter().flatten().collect());
        let own = own(run);
        chain.push(own.clone());
        // Below a parent, its budget is that of the parent unless it says otherwise.
        let limits = limits.or_else(|| parent.is_none().then_some(self.of_runs));
        self.accounts.entry(own).or_default().limits = limits;
        self.runs.insert(run.clone(), Run { chain, history: Vec::new() });
    }

    /// A run leaves another one: what that one had spent up to the event is spent of the new one's budget too.
    pub fn fork(&mut self, run: &RunId, from: &RunId, at: Seq) {
        let (mut chain, spent) = match self.runs.get(from) {
            Some(parent) => {
                let before = parent.history.iter().rev().find(|(seq, _)| *seq <= at);
                (parent.chain.clone(), before.map(|(_, spent)| *spent).unwrap_or_default())
            }
            None => (Vec::new(), Amounts::ZERO),
        };
        let limits = self.accounts.get(&own(from)).and_then(|account| account.limits);
        chain.pop();
        chain.push(own(run));
        let account = self.accounts.entry(own(run)).or_default();
        account.limits = limits;
        account.spent = spent;
        self.runs.insert(run.clone(), Run { chain, history: vec![(at, spent)] });
    }

    /// Reserves on every account of a run, or on none.
    ///
    /// # Errors
    /// [`Exhausted`] names the first account from the top that has not enough.
    pub fn reserve(
        &mut self,
        id: ReservationId,
        run: &RunId,
        upper: Amounts,
        at: Micros,
    ) -> Result<(), Exhausted> {
        self.check(run, upper, at)?;
        self.take(id, run, upper);
        Ok(())
    }

    /// Whether so much could be reserved, without doing it.
    ///
    /// # Errors
    /// [`Exhausted`], as [`Book::reserve`].
    pub fn check(&self, run: &RunId, upper: Amounts, at: Micros) -> Result<(), Exhausted> {
        self.chain(run).iter().try_for_each(|name| self.fits(name, upper, at))
    }

    /// Settles what a reservation was for. More than was reserved counts as it is; whoever lets that happen is wrong, and the
    /// account shows it.
    pub fn settle(&mut self, id: &ReservationId, actual: Amounts, seq: Seq, at: Micros) {
        let Some(Open { run, upper }) = self.open.remove(id) else { return };
        let chain = self.chain(&run);
        for name in &chain {
            let window = self.window_of(name, at);
            let account = self.accounts.entry(name.clone()).or_default();
            account.reserved = account.reserved.minus(upper);
            if account.window != window {
                account.spent = Amounts::ZERO;
                account.window = window;
            }
            account.spent = account.spent.plus(actual);
        }
        let spent = self.accounts.get(&own(&run)).map(|account| account.spent).unwrap_or_default();
        if let Some(run) = self.runs.get_mut(&run) {
            run.history.push((seq, spent));
        }
    }

    /// What was reserved for it; `None`: nothing is.
    #[must_use]
    pub fn reserved(&self, id: &ReservationId) -> Option<Amounts> {
        self.open.get(id).map(|open| open.upper)
    }

    /// A reservation that was for nothing: what it was for is not done.
    pub fn release(&mut self, id: &ReservationId) {
        let Some(Open { run, upper }) = self.open.remove(id) else { return };
        for name in self.chain(&run) {
            let account = self.accounts.entry(name).or_default();
            account.reserved = account.reserved.minus(upper);
        }
    }

    /// The calls of a run that were under way when a node was lost: nobody knows what they cost, so they cost what was
    /// reserved.
    pub fn forfeit_calls(&mut self, run: &RunId, seq: Seq, at: Micros) {
        let calls =
            self.open.iter().filter(|(id, open)| matches!(id, ReservationId::Call(_)) && open.run == *run);
        let lost: Vec<(ReservationId, Amounts)> = calls.map(|(id, open)| (id.clone(), open.upper)).collect();
        for (id, upper) in lost {
            self.settle(&id, upper, seq, at);
        }
    }

    /// True where some account of a run has a limit of money: then what has no price cannot be done.
    #[must_use]
    pub fn counts_money(&self, run: &RunId) -> bool {
        self.chain(run).iter().any(|account| self.limits_of(account).money_micros.is_some())
    }

    /// Where an account stands.
    #[must_use]
    pub fn left(&self, account: &str, at: Micros) -> Left {
        let found = self.accounts.get(account).cloned().unwrap_or_default();
        let same = found.window == self.window_of(account, at);
        Left {
            limits: self.limits_of(account),
            spent: if same { found.spent } else { Amounts::ZERO },
            reserved: found.reserved,
        }
    }

    /// Where a run stands.
    #[must_use]
    pub fn left_of_run(&self, run: &RunId, at: Micros) -> Left {
        self.left(&own(run), at)
    }

    /// Takes an event in. Reservations on record were admitted when they were made, so they are not refused here.
    pub fn fold(&mut self, event: &Event) {
        let Some(run) = &event.run else { return };
        let body = &event.body;
        let id = || event.call.clone().map(ReservationId::Call);
        match &event.kind {
            Kind::RunStarted => {
                let parent = body.text("parent").and_then(|parent| RunId::new(parent).ok());
                self.begin(
                    run,
                    body.text("account"),
                    parent.as_ref(),
                    body.map("budget").map(Limits::from_map),
                );
            }
            Kind::RunForked => {
                let from = body.text("from").and_then(|from| RunId::new(from).ok());
                let at = body.int("at").and_then(|at| u64::try_from(at).ok()).map(Seq);
                if let (Some(from), Some(at)) = (from, at) {
                    self.fork(run, &from, at);
                }
            }
            Kind::RunResumed => self.forfeit_calls(run, event.seq, event.time),
            Kind::ModelIntended | Kind::CallIntended => {
                let question = event.kind == Kind::ModelIntended;
                let id = if question { Some(ReservationId::Question(run.clone())) } else { id() };
                if let (Some(id), Some(reserve)) = (id, body.map("reserve")) {
                    self.take(id, run, Amounts::from_map(reserve));
                }
            }
            Kind::ModelCompleted | Kind::ModelFailed => {
                let spent = body.map("spent").map(Amounts::from_map).unwrap_or_default();
                self.settle(&ReservationId::Question(run.clone()), spent, event.seq, event.time);
            }
            Kind::CallCompleted | Kind::CallFailed | Kind::CallCancelled => {
                let Some(id) = id() else { return };
                let said = body.map("spent").map(Amounts::from_map);
                // A call that says nothing has cost what was reserved: itself.
                let Some(spent) = said.or_else(|| self.reserved(&id)) else { return };
                self.settle(&id, spent, event.seq, event.time);
            }
            _ => {}
        }
    }

    fn take(&mut self, id: ReservationId, run: &RunId, upper: Amounts) {
        for name in self.chain(run) {
            let account = self.accounts.entry(name).or_default();
            account.reserved = account.reserved.plus(upper);
        }
        if let Some(before) = self.open.insert(id, Open { run: run.clone(), upper }) {
            // A ledger that reserves the same twice is wrong; its accounts are not to keep the first for ever.
            for name in self.chain(&before.run) {
                let account = self.accounts.entry(name).or_default();
                account.reserved = account.reserved.minus(before.upper);
            }
        }
    }

    fn fits(&self, account: &str, upper: Amounts, at: Micros) -> Result<(), Exhausted> {
        let left = self.left(account, at);
        for resource in Resource::ALL {
            let Some(limit) = left.limits.of(resource) else { continue };
            let (spent, reserved, wanted) =
                (left.spent.of(resource), left.reserved.of(resource), upper.of(resource));
            if wanted > 0 && spent.saturating_add(reserved).saturating_add(wanted) > limit {
                return Err(Exhausted {
                    account: account.to_owned(),
                    resource,
                    limit,
                    spent,
                    reserved,
                    wanted,
                });
            }
        }
        Ok(())
    }

    fn chain(&self, run: &RunId) -> Vec<String> {
        self.runs.get(run).map_or_else(|| vec![own(run)], |run| run.chain.clone())
    }

    fn limits_of(&self, account: &str) -> Limits {
        match self.accounts.get(account).and_then(|account| account.limits) {
            Some(limits) => limits,
            None => self.budgets.get(account).map(|budget| budget.limits).unwrap_or_default(),
        }
    }

    fn window_of(&self, account: &str, at: Micros) -> i64 {
        match self.budgets.get(account).map(|budget| budget.window).unwrap_or_default() {
            Window::Total => 0,
            Window::Day => at.0.div_euclid(DAY_US),
            Window::Month => month(at.0.div_euclid(DAY_US)),
        }
    }
}

/// The account of a run itself.
fn own(run: &RunId) -> String {
    format!("run:{run}")
}

/// The month of a day since 1970, counted from year 0 (the civil calendar, by days of 400-year eras from 1 March).
const fn month(day: i64) -> i64 {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    (era * 400 + year_of_era) * 12 + from_march
}

#[cfg(test)]
mod tests;
