//! Puts together what talks to application services.

use super::{Foundation, RoomReaders};
use crate::{
    api::{AppserviceServices, UserServices},
    appservices::{
        AppserviceClient, AppserviceQueries, AppserviceQueues, AppserviceRouter, Deliveries, RouterSources,
    },
    net::outbound::Outbound,
    rooms::Typing,
};

/// What application services are asked, and what they are sent.
pub(super) fn build(
    on: Foundation<'_>,
    readers: &RoomReaders,
    (users, typing): (&UserServices, &Typing),
    outbound: &Outbound,
) -> AppserviceServices {
    let appservices = users.sessions.appservices();
    let client = AppserviceClient::new(outbound.trusted());
    let queues = AppserviceQueues::new(on.storage());
    let router = AppserviceRouter::new(RouterSources {
        storage: on.storage(),
        events: readers.events.clone(),
        typing: typing.clone(),
        presence: users.presence.clone(),
        appservices: appservices.clone(),
        queues: queues.clone(),
    });
    let keys = users.encryption_keys.clone();
    let sources = (readers.events.clone(), readers.states.clone(), keys, on.clock());
    AppserviceServices {
        appservice_queries: AppserviceQueries::new(appservices.clone(), client.clone()),
        deliveries: Deliveries::new(appservices.clone(), router, queues, client, sources),
    }
}
