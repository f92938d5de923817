//! What becomes of a debt that stays unpaid, and when: delinquency, seizure, write-off. A debt ages by one with every round;
//! an epoch that no round settles by itself is forgiven, so that every date is the earliest.

use db3_primitives::{BlockTime, Epoch, SettlementLeaf, Stage};

use super::value::Object;
use crate::Money;

/// The rounds that await an account which owes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ahead {
    /// Its lines are cut in the round of this epoch.
    delinquent: Epoch,
    /// Its collateral pays in this one.
    seizure: Epoch,
    /// When that round can begin: the epoch's end.
    seizure_time: Option<BlockTime>,
    /// What is left then is written off in this one.
    write_off: Epoch,
}

impl Ahead {
    /// Of an account; none where nothing is outstanding.
    #[must_use]
    pub fn of(money: &Money) -> Option<Self> {
        let balance = money.balance();
        (balance.stage != Stage::Clear).then(|| Self::since(balance.since, &money.params))
    }

    fn since(since: Epoch, params: &SettlementLeaf) -> Self {
        let after = |epochs: u64| Epoch::new(since.get().saturating_add(epochs));
        let seizure = after(params.seize_epochs);
        let end = seizure.next().and_then(|next| next.start_secs(params.epoch_secs));
        Self {
            delinquent: after(params.grace_epochs),
            seizure,
            seizure_time: end.map(BlockTime::from_secs),
            write_off: after(params.write_off_epochs),
        }
    }

    /// As fields.
    #[must_use]
    pub fn fields(&self) -> Object {
        Object::new()
            .with("delinquent_epoch", self.delinquent.get())
            .with("seizure_epoch", self.seizure.get())
            .with_some("seizure_time", self.seizure_time)
            .with("write_off_epoch", self.write_off.get())
    }

    /// As a sentence.
    #[must_use]
    pub fn text(&self, money: &Money) -> String {
        let time = self.seizure_time.map_or_else(|| "no time".to_owned(), |time| time.rfc3339());
        let credit = match money.balance().stage {
            Stage::Delinquent => "the account is delinquent and gets no credit".to_owned(),
            Stage::Clear | Stage::Outstanding => {
                format!("the round of epoch {} at the earliest makes the account delinquent", self.delinquent)
            }
        };
        format!(
            "{} DB3 are outstanding since epoch {}: {credit}, and the round of epoch {}, at the earliest from {time} on, takes them from its collateral; `db3 credit pay` pays them",
            money.outstanding().to_db3_string(),
            money.balance().since,
            self.seizure,
        )
    }
}
