//! Other servers: where they are, what they are sent, and what is asked of them.
//!
//! For: server discovery, the key ring, the signed client, outgoing queues, retrieval of what a transaction
//! lacks, and joins of remote rooms. Never: decides whether an event is allowed; that is `rooms/receiving`'s.
