//! Accounts and what belongs to them.

mod account_data;
mod devices;
mod discovery;
mod filters;
mod login;
mod password;
mod profile;
mod refresh;
mod registration;
mod threepids;
