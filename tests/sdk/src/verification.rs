//! One device verifies another of the same user: both show the same emoji.

use matrix_sdk::encryption::verification::SasVerification;

use crate::{
    Failure,
    device::Device,
    waiting::{found, until},
};

/// Verifies a new device by an old one, which signs it; the new one gets the user's secrets from the old one.
pub async fn by_emoji(old: &Device, new: &Device) -> Result<(), Failure> {
    let user = new.user_id();
    let known = || async { Ok(old.client().encryption().get_device(user, new.id()).await?) };
    let target = found(format!("{} at {}", new.name(), old.name()), known).await?;
    // Who does not know the device that asks takes no notice of it.
    let known = || async { Ok(new.client().encryption().get_device(user, old.id()).await?) };
    found(format!("{} at {}", old.name(), new.name()), known).await?;
    let request = target.request_verification().await?;
    let asked =
        || async { Ok(new.client().encryption().get_verification_request(user, request.flow_id()).await) };
    found("the request for verification", asked).await?.accept().await?;
    until("the acceptance", || async { Ok(request.is_ready()) }).await?;
    let ours = request.start_sas().await?.ok_or("the verification did not start")?;
    let started = || async {
        let verification = new.client().encryption().get_verification(user, request.flow_id()).await;
        Ok(verification.and_then(|verification| verification.sas()))
    };
    let theirs = found("the start of the verification", started).await?;
    theirs.accept().await?;
    let emoji = |sas: &SasVerification| sas.emoji().map(|emoji| emoji.map(|one| one.symbol));
    let (first, second) = (
        found("emoji", || async { Ok(emoji(&ours)) }).await?,
        found("emoji", || async { Ok(emoji(&theirs)) }).await?,
    );
    if first != second {
        return Err(format!("different emoji: {first:?} and {second:?}").into());
    }
    ours.confirm().await?;
    theirs.confirm().await?;
    until("the end of the verification", || async { Ok(ours.is_done() && theirs.is_done()) }).await?;
    let secrets = || async {
        Ok(new.client().encryption().cross_signing_status().await.is_some_and(|it| it.is_complete()))
    };
    until(format!("the secrets on {}", new.name()), secrets).await
}
