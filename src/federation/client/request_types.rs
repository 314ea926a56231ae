//! What ruma's request types need to be sent to a server.

use std::{borrow::Cow, collections::BTreeSet};

use ruma::api::{
    MatrixVersion, SupportedVersions,
    auth_scheme::{AuthScheme, NoAuthentication},
    federation::authentication::ServerSignatures,
    path_builder::{PathBuilder, SinglePath, VersionHistory},
};

/// The ways in which requests between servers are authenticated.
pub trait FederationAuthentication: AuthScheme {
    /// Whether a request is signed.
    const IS_SIGNED: bool;
}

impl FederationAuthentication for ServerSignatures {
    const IS_SIGNED: bool = true;
}

impl FederationAuthentication for NoAuthentication {
    const IS_SIGNED: bool = false;
}

/// The paths that requests between servers have.
pub trait FederationPath: PathBuilder {
    /// What chooses among a request's paths.
    fn input() -> Self::Input<'static>;
}

impl FederationPath for SinglePath {
    fn input() {}
}

impl FederationPath for VersionHistory {
    /// The newest path: servers do not say which versions of the API they know.
    fn input() -> Cow<'static, SupportedVersions> {
        let versions = BTreeSet::from([MatrixVersion::V1_0, MatrixVersion::V1_11]);
        Cow::Owned(SupportedVersions { versions, features: BTreeSet::new() })
    }
}
