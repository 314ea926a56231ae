//! Work that goes on beside the requests, and the connections between services.

use std::time::Duration;

use tokio::task::JoinSet;

use super::registrations::Registrations;
use crate::{
    api::ApiState,
    media::MediaCleanup,
    net::Shutdown,
    rooms::{limits, search::SearchBacklog},
    storage::ShortRoomId,
    users::user_directory,
};

/// How often what was learnt of devices in passing (when they were last seen) is written down.
const LAST_SEEN_WRITE_INTERVAL: Duration = Duration::from_secs(300);

/// The tasks beside the requests; they end at shutdown.
#[derive(Debug)]
pub struct Tasks {
    tasks: JoinSet<()>,
    state: ApiState,
}

/// Starts the tasks.
pub fn start_tasks(state: &ApiState, registrations: Option<Registrations>, shutdown: &Shutdown) -> Tasks {
    let mut tasks = JoinSet::new();
    if let Some(registrations) = registrations {
        tasks.spawn(registrations.follow(shutdown.clone()));
    }
    state.federation.incoming_pdus.resume();
    tasks.spawn(state.push.push_delivery.clone().run());
    tasks.spawn(MediaCleanup::new(state.media.media.clone()).run());
    tasks.spawn(state.federation.outgoing_queues.clone().run(shutdown.clone()));
    tasks.spawn(state.federation.profile_refresh.clone().run(shutdown.clone()));
    tasks.spawn(index_old_events(state.rooms.search_backlog.clone(), shutdown.clone()));
    tasks.spawn(state.users.presence.clone().expire());
    let storage = state.shared.storage.clone();
    tasks.spawn(async move {
        // Its error is logged, and the next start tries again.
        let _ = crate::api::blocking::run(move || user_directory::add_missing(&storage)).await;
    });
    tasks.spawn(state.rooms.delayed_events.clone().run());
    tasks.spawn(state.rooms.room_deletions.clone().run());
    let typing = state.rooms.typing.clone();
    tasks.spawn(async move { typing.expire().await });
    let (notifier, stopping) = (state.sync.notifier.clone(), shutdown.clone());
    tasks.spawn(async move {
        stopping.triggered().await;
        notifier.stop();
    });
    let (deliveries, stopping) = (state.appservices.deliveries.clone(), shutdown.clone());
    let news = deliveries.news();
    state.rooms.typing.on_change(move |_| news.notify_one());
    let news = deliveries.news();
    state.users.presence.on_change(move |_| news.notify_one());
    tasks.spawn(deliveries.run(stopping));
    let (last_seen, shutdown) = (state.users.sessions.last_seen().clone(), shutdown.clone());
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LAST_SEEN_WRITE_INTERVAL) => {}
                () = shutdown.triggered() => return,
            }
            let last_seen = last_seen.clone();
            let _ = crate::api::blocking::run(move || last_seen.flush()).await;
        }
    });
    Tasks { tasks, state: state.clone() }
}

impl Tasks {
    /// Ends the tasks and writes down what they kept.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        let last_seen = self.state.users.sessions.last_seen().clone();
        // Its error is logged; that a device was seen a little later is all that is lost.
        let _ = crate::api::blocking::run(move || last_seen.flush()).await;
    }
}

/// Adds what is older than the index for searching to it, a few events at a time: requests come first.
async fn index_old_events(backlog: SearchBacklog, shutdown: Shutdown) {
    let mut from = ShortRoomId(0);
    loop {
        let at = backlog.clone();
        // An error is logged, and the next start tries again.
        match crate::api::blocking::run(move || at.step(from)).await {
            Ok(Some(room)) => from = room,
            Ok(None) | Err(_) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(limits::SEARCH_BACKLOG_PAUSE) => {}
            () = shutdown.triggered() => return,
        }
    }
}
