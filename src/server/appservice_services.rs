//! Puts together what talks to application services.

use crate::{
    appservices::{
        AppserviceClient, AppserviceQueries, AppserviceQueues, AppserviceRouter, Deliveries, RouterSources,
    },
    net::outbound::Outbound,
    rooms::{EventStore, RoomStates, Typing},
    storage::Storage,
    users::{Appservices, Clock},
};

/// What application services are asked, and what they are sent, over readers of rooms.
pub fn build(
    storage: &Storage,
    (events, states): (&EventStore, &RoomStates),
    typing: &Typing,
    appservices: &Appservices,
    (outbound, clock): (&Outbound, &Clock),
) -> (AppserviceQueries, Deliveries) {
    let client = AppserviceClient::new(outbound.trusted());
    let queues = AppserviceQueues::new(storage.clone());
    let router = AppserviceRouter::new(RouterSources {
        storage: storage.clone(),
        events: events.clone(),
        typing: typing.clone(),
        appservices: appservices.clone(),
        queues: queues.clone(),
    });
    let queries = AppserviceQueries::new(appservices.clone(), client.clone());
    let sources = (events.clone(), states.clone(), clock.clone());
    (queries, Deliveries::new(appservices.clone(), router, queues, client, sources))
}
