//! What this server does for other servers as a resident of a room: who may ask, what each may see, and the
//! events that let their users in and out.
//!
//! Every answer to another server about a room starts at [`Resident::open`] or [`Resident::member`], the one
//! place that decides whether the server may ask at all, and shows events only through [`ServerView`], the one
//! place that decides which. Nothing here talks to the network or verifies signatures. Main type: [`Resident`].

mod access;
mod admission;
mod auth_chain;
mod error;
mod hierarchy;
mod history;
mod join_answer;
mod reading;
mod templates;
mod view;

#[cfg(test)]
mod tests;

pub use self::{
    admission::Submission,
    error::ResidentError,
    history::MissingEventsQuery,
    join_answer::JoinAnswer,
    reading::StateAt,
    templates::{MembershipTemplate, TemplateKind},
    view::ServerView,
};

use super::{
    Appender, EventStore, Memberships, RoomIndex, RoomServers, RoomStates, ServerAcls,
    receiving::ReceivedEvents,
};
use crate::storage::Storage;

/// Answers for other servers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Resident {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    acls: ServerAcls,
    servers: RoomServers,
    appender: Appender,
    memberships: Memberships,
    received: ReceivedEvents,
}

impl Resident {
    /// Over the appender's store and readers.
    pub fn new(appender: Appender, memberships: Memberships, acls: ServerAcls, servers: RoomServers) -> Self {
        Self {
            storage: appender.storage().clone(),
            index: appender.index().clone(),
            events: appender.events().clone(),
            states: appender.states().clone(),
            acls,
            servers,
            received: ReceivedEvents::new(appender.clone()),
            appender,
            memberships,
        }
    }

    /// This server's name.
    pub fn server_name(&self) -> &ruma::ServerName {
        self.appender.server_name()
    }
}
