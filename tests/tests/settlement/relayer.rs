//! Relayers that lose, repeat, reorder, cut, forge and crash. Nobody trusts them, and none keeps anything that matters.

use db3_carry::{Channel, Delivery};
use db3_primitives::{BlockTime, ChainId};

use crate::machine::Parcel;
use crate::rng::Rng;
use crate::timeline::{Timeline, unix};

/// How bad a relayer is, in percent for each occasion.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    pub works: u64,
    pub loses: u64,
    pub repeats: u64,
    pub forges: u64,
    pub crashes: u64,
}

/// One that does what it should.
pub const HONEST: Habits = Habits { works: 100, loses: 0, repeats: 0, forges: 0, crashes: 0 };
/// One that does everything wrong now and then.
pub const FAULTY: Habits = Habits { works: 30, loses: 20, repeats: 20, forges: 10, crashes: 2 };

/// See the module's text.
pub struct Relayer {
    rng: Rng,
    pub habits: Habits,
    /// Occasions that it sleeps through.
    asleep: u64,
    /// What it made and has not brought yet, with the place of the reader.
    bag: Vec<(usize, Parcel)>,
}

/// One direction: a writer, and what its reader keeps of it.
pub struct Direction<'n> {
    pub writer: &'n Timeline,
    pub reader: &'n ChainId,
    /// Place of the reader among the chains.
    pub place: usize,
    pub channel: Channel,
    pub now: BlockTime,
}

impl Relayer {
    pub fn new(rng: Rng, habits: Habits) -> Self {
        Self { rng, habits, asleep: 0, bag: Vec::new() }
    }

    /// Its occasion: what it brings, and to whom.
    pub fn act(&mut self, directions: &[Direction<'_>]) -> Vec<(usize, Parcel)> {
        if self.asleep > 0 {
            self.asleep -= 1;
            return Vec::new();
        }
        if self.rng.percent(self.habits.crashes) {
            self.bag.clear();
            self.asleep = self.rng.below(40);
            return Vec::new();
        }
        for direction in directions {
            if self.rng.percent(self.habits.works)
                && let Some(parcel) = self.pack(direction)
            {
                self.bag.push((direction.place, parcel));
            }
        }
        self.unpack()
    }

    fn pack(&mut self, direction: &Direction<'_>) -> Option<Parcel> {
        let Direction { writer, reader, channel, now, .. } = direction;
        let honest = self.habits.works == 100;
        if channel.headers_due(unix(*now)) && (honest || self.rng.percent(20)) {
            let delivery = writer.newest_header(channel.trusted_height())?;
            return Some(Parcel { delivery, forged: false });
        }
        let overlap = if honest { 0 } else { self.rng.below(3) };
        let from = channel.cursor().saturating_sub(overlap);
        let bytes_max =
            if honest || self.rng.percent(50) { 100_000 } else { usize::try_from(60 + self.rng.below(3_000)).unwrap() };
        let newest = writer.height();
        let height = if honest { newest } else { newest.saturating_sub(self.rng.below(8)) };
        if !writer.provable().contains(&height) || height < channel.trusted_height() {
            return None;
        }
        let delivery = writer.delivery(reader, from, bytes_max, height, channel.trusted_height())?;
        if delivery.is_headers_alone() {
            return None;
        }
        if self.rng.percent(self.habits.forges) {
            return Some(Parcel { delivery: self.forge(delivery), forged: true });
        }
        if self.rng.percent(self.habits.forges) {
            return Some(Parcel { delivery: self.pad(delivery, channel.cursor()), forged: false });
        }
        Some(Parcel { delivery, forged: false })
    }

    /// A delivery that lies where it overlaps what was applied: the reader takes what the true one brings.
    fn pad(&mut self, mut delivery: Delivery, cursor: u64) -> Delivery {
        let applied = usize::try_from(cursor.saturating_sub(delivery.log.start)).unwrap();
        for entry in delivery.log.entries.iter_mut().take(applied) {
            *entry = vec![7; 1 + self.rng.index(100)];
        }
        delivery
    }

    /// A delivery that says something else. What an overlap repeats is not looked at again, so that the lie is in the new part;
    /// see [`pad`](Self::pad) for lies in the other.
    fn forge(&mut self, mut delivery: Delivery) -> Delivery {
        let last = delivery.log.entries.len() - 1;
        match self.rng.below(6) {
            0 => {
                let place = self.rng.index(delivery.log.entries[last].len());
                delivery.log.entries[last][place] ^= 1 << self.rng.below(8);
            }
            1 => {
                let twice = delivery.log.entries[last].clone();
                delivery.log.entries.push(twice);
            }
            2 => delivery.log.size += 1,
            3 => {
                let place = self.rng.index(delivery.outbox_leaf.len());
                delivery.outbox_leaf[place] ^= 1;
            }
            4 => {
                delivery.log.right.push([7; 32]);
            }
            _ => {
                let proof = delivery.proof.as_mut().unwrap();
                match proof.path.first_mut() {
                    Some(step) => step.sibling[3] ^= 1,
                    None => proof.value[0] ^= 1,
                }
            }
        }
        delivery
    }

    /// Brings what is in the bag, in any order, some of it never, some of it again later.
    fn unpack(&mut self) -> Vec<(usize, Parcel)> {
        let mut brought = Vec::new();
        let mut kept = Vec::new();
        while !self.bag.is_empty() {
            let place = self.rng.index(self.bag.len());
            let parcel = self.bag.swap_remove(place);
            if self.rng.percent(self.habits.loses) {
                continue;
            }
            if self.rng.percent(self.habits.repeats) {
                kept.push(parcel.clone());
            }
            brought.push(parcel);
        }
        kept.truncate(50);
        self.bag = kept;
        brought
    }
}
