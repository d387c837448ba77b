//! A run, as whoever waits for its answer hears it.

use cella_agency::{Crew, Ear, Heard};
use cella_event::RunId;
use cella_kernel::State;
use cella_pursuit::{Broken, LoadError, Runs};
use futures_util::future::BoxFuture;

use crate::fault::Fault;

/// What comes next of a run.
pub(crate) enum Moment {
    /// Something of an answer.
    Heard(Heard),
    /// Nobody pursues it any more; nothing comes after this.
    Over(Result<Box<State>, Fault>),
}

/// A run that is listened to.
pub(crate) struct Talk {
    pub(crate) run: RunId,
    ear: Ear,
    over: BoxFuture<'static, Result<State, Fault>>,
}

/// Ends a run that nobody waits for any more, unless it is dismissed.
pub(crate) struct Leash {
    runs: Runs<Crew>,
    run: Option<RunId>,
    by: String,
}

// === impl Talk ===

impl Talk {
    /// Listens to a run that has begun; `ear` did so before.
    pub(crate) fn new(runs: &Runs<Crew>, run: RunId, ear: Ear) -> Self {
        let (runs, of) = (runs.clone(), run.clone());
        let over = Box::pin(async move {
            match runs.finished(&of).await {
                Some(Ok(state)) => Ok(state),
                Some(Err(broken)) => Err(Fault::Broken(broken)),
                // It was over before anybody asked.
                None => runs.show(&of).await.map(|known| known.state).map_err(|fault| unreadable(&fault)),
            }
        });
        Self { run, ear, over }
    }

    /// What comes next. Everything that was heard comes before the end. Not to be asked again after that.
    pub(crate) async fn next(&mut self) -> Moment {
        tokio::select! {
            biased;
            heard = self.ear.next() => Moment::Heard(heard),
            state = &mut self.over => match self.ear.waiting() {
                // The last words, said in the same moment. The end is found again in the run.
                Some(heard) => {
                    self.over = Box::pin(std::future::ready(state));
                    Moment::Heard(heard)
                }
                None => Moment::Over(state.map(Box::new)),
            },
        }
    }
}

fn unreadable(fault: &LoadError) -> Fault {
    Fault::Broken(Broken::Read(fault.to_string()))
}

// === impl Leash ===

impl Leash {
    pub(crate) fn new(runs: &Runs<Crew>, run: RunId, by: &str) -> Self {
        Self { runs: runs.clone(), run: Some(run), by: by.to_owned() }
    }

    /// The run is over, or goes on without anybody.
    pub(crate) fn dismiss(&mut self) {
        self.run = None;
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        let Some(run) = self.run.take() else { return };
        let (runs, by) = (self.runs.clone(), format!("{} (went away)", self.by));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // It may have ended in this moment, which is as well.
                if let Err(fault) = runs.cancel(&run, &by).await {
                    tracing::debug!(%run, %fault, "not cancelled");
                }
            });
        }
    }
}
