//! The rooms behind this server's aliases, for clients and for other servers.
//!
//! An alias that does not exist yet and belongs to an application service is asked for there first: bridges make
//! the rooms of their networks when somebody wants to see them ([querying]). Main type: [`OwnAliases`].
//!
//! [querying]: https://spec.matrix.org/v1.19/application-service-api/#querying

use axum::extract::FromRef;
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedServerName, RoomAliasId};

use super::{ApiError, ApiState, blocking};
use crate::{
    appservices::AppserviceQueries,
    rooms::{AliasError, Aliases},
};

/// A room, and servers that are in it.
type Found = (OwnedRoomId, Vec<OwnedServerName>);

/// Looks aliases of this server up. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OwnAliases {
    aliases: Aliases,
    queries: AppserviceQueries,
}

impl FromRef<ApiState> for OwnAliases {
    fn from_ref(state: &ApiState) -> Self {
        Self { aliases: Aliases::from_ref(state), queries: AppserviceQueries::from_ref(state) }
    }
}

impl OwnAliases {
    /// On a server without application services, for tests.
    #[cfg(test)]
    pub(crate) fn alone(aliases: Aliases) -> Self {
        use crate::{appservices::AppserviceClient, net::outbound::Outbound, users::Appservices};
        let client = AppserviceClient::new(Outbound::new(None, &[]).unwrap().trusted());
        Self { aliases, queries: AppserviceQueries::new(Appservices::default(), client) }
    }

    /// The room behind an alias, and servers through which it can be joined; 404 if there is none, also after the
    /// application services that the alias belongs to were asked.
    pub async fn resolve(&self, alias: OwnedRoomAliasId) -> Result<Found, ApiError> {
        if let Some(found) = self.known(&alias).await? {
            return Ok(found);
        }
        let made = if self.queries.may_make_alias(&alias).await { self.known(&alias).await? } else { None };
        made.ok_or_else(|| AliasError::NotFound(alias).into())
    }

    async fn known(&self, alias: &RoomAliasId) -> Result<Option<Found>, ApiError> {
        let (aliases, alias) = (self.aliases.clone(), alias.to_owned());
        blocking::run(move || match aliases.resolve(&alias) {
            Err(AliasError::NotFound(_)) => Ok(None),
            found => found.map(Some),
        })
        .await
    }
}
