//! Other servers: where they are, what they are sent, and what is asked of them.
//!
//! For: server discovery, the key ring, the signed client, outgoing queues, retrieval of what a transaction
//! lacks, and joins of remote rooms. Never: decides whether an event is allowed; that is `rooms/receiving`'s.
//! Main types: [`FederationClient`] asks another server, [`ServerKeys`] verifies what comes from one.

mod backoff;
mod client;
mod destinations;
mod discovery;
mod error;
mod incoming;
pub mod joins;
pub mod limits;
mod outside;
mod policy;
mod profile_refresh;
pub mod remote_keys;
mod remote_media;
mod remote_profiles;
mod remote_spaces;
pub mod sending;
mod server_keys;
#[cfg(test)]
pub(crate) mod testing;
pub mod transactions;
mod turns;

pub use self::{
    backoff::{Backoff, FailingDestination},
    client::{FederationAuthentication, FederationClient, FederationPath, SendOptions},
    destinations::{Destination, Destinations},
    discovery::{Discovery, MatrixLocator},
    error::FederationError,
    incoming::{IncomingError, IncomingPdus, OtherServers, RemoteEvents},
    joins::RemoteRooms,
    outside::Outside,
    policy::ServerPolicy,
    profile_refresh::ProfileRefresh,
    remote_keys::{RemoteKeyAnswer, RemoteKeys},
    remote_media::RemoteMedia,
    remote_profiles::RemoteProfiles,
    remote_spaces::{HierarchyError, RemoteSpaces},
    sending::OutgoingQueues,
    server_keys::{BadEvent, OwnKeys, RequestRefusal, RequestToVerify, ServerKeys, ServerKeysError},
    transactions::IncomingTransactions,
};
