//! The conversation: who is there, what was said, and who must have read it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use matrix_sdk::ruma::{OwnedEventId, OwnedRoomId, TransactionId};

use crate::{
    Failure,
    account::{Account, short_name},
    device::Device,
    verification,
    waiting::{found, until},
};

/// In the middle of each block a server crashes, while devices come and go.
const BLOCKS: usize = 5;
const MESSAGES_A_BLOCK: usize = 40;

/// The conversation.
pub struct Talk {
    /// Alice and Bob of the home server, Carol of the away server.
    people: [Arc<Account>; 3],
    room: OwnedRoomId,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// How many messages were begun.
    begun: usize,
    /// Those that the server has taken, by their number.
    sent: Vec<(usize, OwnedEventId, String)>,
    /// Devices that take part, each with the number of the first message that it must read.
    present: Vec<(Arc<Device>, usize)>,
}

impl Talk {
    /// Nothing was said yet.
    pub fn new(people: [Arc<Account>; 3], room: OwnedRoomId) -> Self {
        Self { people, room, inner: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn devices(&self) -> Vec<Arc<Device>> {
        self.with(|inner| inner.present.iter().map(|(device, _)| device.clone()).collect())
    }

    /// A device takes part: from when on everybody knows of it, it must read everything.
    pub async fn welcome(&self, device: Arc<Device>) -> Result<(), Failure> {
        device.open(&self.room).await?;
        for other in self.devices() {
            until(format!("{} at {}", device.name(), other.name()), || other.knows(&device)).await?;
        }
        self.with(|inner| {
            let first = inner.begun;
            inner.present.push((device, first));
        });
        Ok(())
    }

    /// Says `count` things in turn, each by another person and device.
    async fn say(&self, count: usize) -> Result<(), Failure> {
        for _ in 0..count {
            let (number, device) = self.with(|inner| {
                let number = inner.begun;
                inner.begun += 1;
                let theirs = |user: &Arc<Account>| {
                    let of_user = |(device, _): &&(Arc<Device>, usize)| device.user_id() == user.user_id;
                    let devices: Vec<_> = inner.present.iter().filter(of_user).collect();
                    devices.get(number / self.people.len() % devices.len().max(1)).map(|(it, _)| it.clone())
                };
                (number, theirs(&self.people[number % self.people.len()]))
            });
            let device = device.ok_or("nobody is there to speak")?;
            let body = format!("secret {number} ☃");
            let id = device.say(&self.room, &body, &TransactionId::new()).await?;
            self.with(|inner| inner.sent.push((number, id, body)));
        }
        Ok(())
    }

    /// Waits until a device has read all that it must of what was sent until now; the number of messages.
    async fn reads(&self, device: &Device, first: usize) -> Result<usize, Failure> {
        let sent = self.with(|inner| {
            let sent = inner.sent.iter().filter(|(number, ..)| *number >= first);
            sent.map(|(_, id, body)| (id.clone(), body.clone())).collect::<Vec<_>>()
        });
        let lacking = |seen: &HashMap<OwnedEventId, Option<String>>| {
            let lacking = sent.iter().filter(|(id, body)| seen.get(id) != Some(&Some(body.clone())));
            let told = lacking.map(|(id, body)| match seen.get(id) {
                None => format!("{body} ({id}) is not there"),
                Some(None) => format!("{body} ({id}) is not decrypted"),
                Some(Some(other)) => format!("{body} ({id}) is {other}"),
            });
            told.collect::<Vec<_>>()
        };
        let all = || async {
            let seen = device.reads().await?;
            if lacking(&seen).is_empty() {
                return Ok(true);
            }
            if sent.iter().any(|(id, _)| !seen.contains_key(id)) {
                device.look_back().await?;
            }
            let is_closed = |(id, _): &&(OwnedEventId, String)| seen.get(id) == Some(&None);
            let closed: Vec<_> = sent.iter().filter(is_closed).map(|(id, _)| id.clone()).collect();
            if !closed.is_empty() {
                device.fetch_earlier_keys(&self.room, &closed).await?;
            }
            Ok(false)
        };
        let waited = until("", all).await;
        if waited.is_err() {
            let lacking = lacking(&device.reads().await?);
            return Err(format!("{} has not read: {}", device.name(), lacking.join(", ")).into());
        }
        Ok(sent.len())
    }

    /// A device logs out, having read everything; the others forget it.
    async fn farewell(&self, person: usize, name: &str) -> Result<(), Failure> {
        let name = format!("{}'s {name}", short_name(&self.people[person].user_id));
        let gone = self.with(|inner| {
            let position = inner.present.iter().position(|(device, _)| device.name() == name)?;
            Some(inner.present.remove(position))
        });
        let (device, first) = gone.ok_or_else(|| format!("{name} is not there"))?;
        self.reads(&device, first).await?;
        device.log_out().await?;
        for other in self.devices() {
            let forgotten = || async { Ok(!other.knows(&device).await?) };
            until(format!("{} forgets {name}", other.name()), forgotten).await?;
        }
        Ok(())
    }

    /// A new device of a person's, verified by emoji with one that is there or by the recovery key; it takes part.
    async fn arrival(&self, person: usize, name: &str, by_emoji: bool) -> Result<(), Failure> {
        let account = &self.people[person];
        let device = Device::log_in(account.clone(), name).await?;
        if by_emoji {
            let mut devices = self.devices().into_iter();
            let old =
                devices.find(|old| old.user_id() == account.user_id).ok_or("no device to verify with")?;
            verification::by_emoji(&old, &device).await?;
        } else {
            account.recover(&device).await?;
        }
        for other in self.devices() {
            until(format!("{name} verified at {}", other.name()), || other.sees_verified(&device)).await?;
        }
        self.welcome(device).await
    }

    /// Devices that come and go during a block.
    async fn comings_and_goings(&self, block: usize) -> Result<(), Failure> {
        let (alice, bob, carol) = (0, 1, 2);
        match block {
            0 => {
                self.arrival(alice, "second", true).await?;
                self.arrival(bob, "second", false).await?;
            }
            1 => {
                self.arrival(alice, "third", false).await?;
                self.arrival(bob, "third", true).await?;
                self.arrival(carol, "second", true).await?;
            }
            2 => {
                self.farewell(alice, "second").await?;
                self.farewell(bob, "second").await?;
            }
            3 => {
                self.arrival(alice, "fourth", true).await?;
                self.arrival(bob, "fourth", false).await?;
            }
            _ => {
                self.farewell(carol, "second").await?;
                self.arrival(carol, "third", false).await?;
            }
        }
        Ok(())
    }

    /// The home server crashes in each block, the away server in every second one.
    async fn speaking_through_a_crash(&self, block: usize) -> Result<(), Failure> {
        self.say(MESSAGES_A_BLOCK / 4).await?;
        println!("crash home");
        self.say(MESSAGES_A_BLOCK / 2).await?;
        if block % 2 == 1 {
            println!("crash away");
        }
        Ok(())
    }

    /// All blocks; then everybody has read what they must.
    pub async fn through_five_crashes(&self) -> Result<(), Failure> {
        for block in 0..BLOCKS {
            tokio::try_join!(self.speaking_through_a_crash(block), self.comings_and_goings(block))?;
            // The new devices as well.
            self.say(MESSAGES_A_BLOCK / 4).await?;
            let devices: Vec<_> = self.devices().iter().map(|device| device.name().to_owned()).collect();
            println!("passed: {} messages, now with {}", (block + 1) * MESSAGES_A_BLOCK, devices.join(", "));
        }
        for (device, first) in self.with(|inner| inner.present.clone()) {
            let count = self.reads(&device, first).await?;
            println!("passed: {} has read all {count} messages since it took part", device.name());
        }
        Ok(())
    }

    /// A new device of each person reads everything, with keys from the backup.
    pub async fn history_from_backups(&self) -> Result<(), Failure> {
        let devices = self.devices();
        for person in &self.people {
            let old =
                devices.iter().find(|device| device.user_id() == person.user_id).ok_or("nobody is left")?;
            let backed_up =
                || async { Ok(old.client().encryption().backups().wait_for_steady_state().await.ok()) };
            found(format!("the backup of {}", old.name()), backed_up).await?;
            let new = Device::log_in(person.clone(), "restored").await?;
            person.recover(&new).await?;
            new.open(&self.room).await?;
            let restored = || async {
                let backups = new.client().encryption().backups();
                Ok(backups.download_room_keys_for_room(&self.room).await.ok())
            };
            found(format!("the keys for {}", new.name()), restored).await?;
            let count = self.reads(&new, 0).await?;
            println!("passed: {} has read all {count} messages with keys from the backup", new.name());
        }
        Ok(())
    }
}
