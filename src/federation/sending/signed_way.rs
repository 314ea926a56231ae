//! The way to other servers: the signed client.

use ruma::{
    OwnedServerName, OwnedTransactionId, ServerName,
    api::federation::transactions::send_transaction_message::v1::Request,
};

use super::{Deliver, Delivery, DeliveryError, OutgoingTransaction, limits};
use crate::{
    federation::{FederationClient, FederationError, ServerPolicy, client::throttled::pause},
    users::Clock,
};

/// Sends transactions with the signed client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SignedWay {
    client: FederationClient,
    policy: ServerPolicy,
    clock: Clock,
}

impl SignedWay {
    /// To the servers that `policy` allows.
    pub fn new(client: FederationClient, policy: ServerPolicy, clock: Clock) -> Self {
        Self { client, policy, clock }
    }

    fn explain(&self, server: &ServerName, error: &FederationError) -> DeliveryError {
        let now_ms = self.clock.now_ms();
        let later = |pause: std::time::Duration| {
            let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            DeliveryError::Later { until_ms: now_ms.saturating_add(pause) }
        };
        match error {
            FederationError::BackingOff { until } | FederationError::Throttled { until } => {
                DeliveryError::Later { until_ms: until.get().into() }
            }
            FederationError::Remote { retry_after, .. } if error.is_throttled() => later(pause(*retry_after)),
            FederationError::NotAllowed => later(limits::REFUSED_PAUSE_MAX),
            error if error.is_outage() => match self.client.backoff().until(server) {
                Some(until) => DeliveryError::Later { until_ms: until.get().into() },
                None => later(limits::REFUSED_PAUSE_MIN),
            },
            // Who may not send, or has the wrong address, is told so in other ways than that the contents are wrong.
            FederationError::Remote { status, .. }
                if status.is_client_error() && !matches!(status.as_u16(), 401 | 403..=405 | 408 | 429) =>
            {
                DeliveryError::Refused(error.to_string())
            }
            error => DeliveryError::Failed(error.to_string()),
        }
    }
}

impl Deliver for SignedWay {
    fn allows(&self, server: &ServerName) -> bool {
        self.policy.allows(server)
    }

    fn deliver(&self, server: OwnedServerName, transaction: OutgoingTransaction) -> Delivery {
        let this = self.clone();
        Box::pin(async move {
            let own_name = this.policy.own_name().to_owned();
            let id = OwnedTransactionId::from(transaction.id);
            let mut request = Request::new(id, own_name, this.clock.now());
            request.pdus = transaction.pdus;
            request.edus = transaction.edus;
            match this.client.send(&server, request).await {
                Ok(answer) => {
                    for (event_id, outcome) in answer.pdus {
                        if let Err(why) = outcome {
                            tracing::debug!(%server, %event_id, "a server does not take an event: {why}");
                        }
                    }
                    Ok(())
                }
                Err(error) => Err(this.explain(&server, &error)),
            }
        })
    }
}
