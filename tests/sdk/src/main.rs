//! Two people with three devices each, and a third one of another server, talk end-to-end encrypted through
//! matrix-sdk as Element X uses it (`SyncService`: sliding sync for rooms, another connection for encryption):
//!
//! ```text
//! conduit-sdk-test HOME_URL AWAY_URL REGISTRATION_TOKEN
//! ```
//!
//! The away server federates with the home server. While messages go in both directions, devices log in, are
//! verified by cross-signing and log out. The line `crash home` or `crash away` invites whoever runs this to end
//! that server at once, without notice, and to start it again behind the same address: the talk goes on meanwhile.
//! Every message must be decrypted by every device that its sender could know of; in the end new devices read all of
//! it with keys from the backup. Prints a line for each step, and `all steps passed` at the end.

mod account;
mod device;
mod talk;
mod verification;
mod waiting;

use std::{env, error::Error, process::ExitCode, sync::Arc, time::Duration};

use account::Account;
use device::Device;
use matrix_sdk::ruma::OwnedRoomId;
use talk::Talk;
use waiting::until;

/// What went wrong.
pub type Failure = Box<dyn Error + Send + Sync>;

/// All of it takes a minute or two on two cores.
const WHOLE: Duration = Duration::from_secs(900);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [home, away, token] = arguments.as_slice() else {
        eprintln!("usage: conduit-sdk-test HOME_URL AWAY_URL REGISTRATION_TOKEN");
        return ExitCode::from(2);
    };
    match tokio::time::timeout(WHOLE, chat(home, away, token)).await {
        Ok(Ok(())) => {
            println!("all steps passed");
            ExitCode::SUCCESS
        }
        Ok(Err(failure)) => {
            eprintln!("FAILED: {failure}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("FAILED: not done within {WHOLE:?}");
            ExitCode::FAILURE
        }
    }
}

async fn chat(home: &str, away: &str, token: &str) -> Result<(), Failure> {
    let alice = Account::register(home, "alice", token).await?;
    let bob = Account::register(home, "bob", token).await?;
    let carol = Account::register(away, "carol", token).await?;
    let people = [alice, bob, carol].map(Arc::new);
    let mut firsts = Vec::new();
    for person in &people {
        firsts.push(person.first_device().await?);
    }
    println!("passed: all set up cross-signing, secret storage and a key backup");
    let room = make_room(&firsts).await?;
    let talk = Talk::new(people, room);
    for device in firsts {
        talk.welcome(device).await?;
    }
    println!("passed: all three are in an encrypted room");
    talk.through_five_crashes().await?;
    talk.history_from_backups().await
}

/// A room of all three, made by the first.
async fn make_room(devices: &[Arc<Device>]) -> Result<OwnedRoomId, Failure> {
    let (maker, guests) = devices.split_first().ok_or("nobody is there")?;
    let room = maker.create_room(guests).await?;
    for guest in guests {
        guest.join(&room).await?;
    }
    for device in devices {
        for other in devices {
            until("everybody's joining", || device.sees_joined(&room, other.user_id())).await?;
        }
    }
    Ok(room)
}
