//! One task per call with steps: it reads the stream as fast as the asker takes what is in it.

use tokio::{
    sync::{mpsc, oneshot},
    time::sleep_until,
};

use cella_mcp::{Raw, RpcError};

use super::leg::Leg;
use crate::sink::StepSink;
use cella_transport::{AskKey, Exchange, Step};

/// Hands the rest of a call to a task, and its steps to the asker.
pub(super) fn continue_live(leg: Leg, first: Step) -> Exchange {
    let (performer, exchange) = Exchange::live();
    let (steps, replies, alive) = performer.split();
    let asker = Asker { sink: StepSink::new(steps), replies, alive };
    tokio::spawn(drive(leg, asker, first));
    exchange
}

struct Asker {
    sink: StepSink,
    replies: mpsc::UnboundedReceiver<(AskKey, Result<Raw, RpcError>)>,
    alive: oneshot::Receiver<()>,
}

/// Ends when the call is over or the asker is gone; the leg, dropped, then tells the server.
async fn drive(mut leg: Leg, mut asker: Asker, first: Step) {
    let mut step = first;
    loop {
        if !asker.take(&mut leg, step).await {
            return;
        }
        step = loop {
            tokio::select! {
                biased;
                reply = asker.replies.recv() => match reply {
                    Some((key, reply)) => leg.carry(key, reply),
                    None => return,
                },
                _gone = &mut asker.alive => return,
                step = leg.next() => break step,
            }
        };
    }
}

impl Asker {
    /// Hands over a step, and waits while the asker is slow: its own stream is read no further, and nobody else's is
    /// held up. False when nothing more is to be done.
    async fn take(&mut self, leg: &mut Leg, step: Step) -> bool {
        if let Step::Done(answer) = step {
            self.sink.finish(answer);
            return false;
        }
        let due = leg.due();
        tokio::select! {
            biased;
            taken = self.sink.push(step) => taken.is_ok(),
            _gone = &mut self.alive => false,
            () = sleep_until(due) => {
                self.sink.finish(leg.expire());
                false
            }
        }
    }
}
