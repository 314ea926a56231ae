//! What nobody should send: each case has the spec's status and errcode, and leaves no trace.

mod bodies;
mod connections;
mod operations;
mod requests;
