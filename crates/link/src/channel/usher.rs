//! One task per channel, alive while something waits there: lets calls, answers and questions pass when their turn comes.

use std::sync::{Arc, MutexGuard};

use tokio::time::sleep_until;

use super::{Channel, flights::Flights, waiting::Act};
use crate::asks;

impl Channel {
    /// Sees to it that what waits is looked after.
    pub(super) fn usher(self: &Arc<Self>, flights: &mut MutexGuard<'_, Flights>) {
        if flights.wants_usher() {
            tokio::spawn(usher(Arc::clone(self)));
        }
    }
}

async fn usher(channel: Arc<Channel>) {
    let news = Arc::clone(&channel.lock().news);
    loop {
        let (acts, next) = channel.lock().look(channel.options.deadlines);
        let Some(next) = next else { return };
        if acts.is_empty() {
            tokio::select! {
                () = news.notified() => {}
                () = sleep_until(next) => {}
            }
        }
        for act in acts {
            match act {
                Act::Ask(request) => channel.asked(request),
                Act::Refuse(request) => {
                    let refusal = asks::unclear(&request.method);
                    channel.reply(request.id, Err(refusal));
                }
                Act::Carry(id, key, reply) => channel.carry_now(id, key, reply),
                Act::GiveUp(id) => channel.give_way(id),
            }
        }
    }
}
