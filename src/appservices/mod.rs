//! Application services (bridges and bots): what concerns them is found, queued and delivered
//! ([application service API]).
//!
//! A router follows the stream of changes and queues, for each application service, what it has an interest in;
//! a delivery for each sends its queue in order, one transaction at a time, until it is acknowledged. Sending a
//! message costs nothing more for it: the router runs beside the requests. Never: knows tokens or names; those
//! are in `users/appservices/`.
//!
//! Main type: [`AppserviceRouter`]; [`Deliveries`] runs it all.
//!
//! [application service API]: https://spec.matrix.org/v1.19/application-service-api/

mod client;
mod deliveries;
mod devices;
mod error;
mod interest;
pub mod limits;
mod presence;
mod queries;
mod queue;
mod router;
mod transaction;

pub use self::{
    client::{AppserviceClient, AppserviceError},
    deliveries::Deliveries,
    error::DeliveryError,
    queries::AppserviceQueries,
    queue::AppserviceQueues,
    router::{AppserviceRouter, RouterSources},
};
