//! Who may change what, and when: the hostile cases.

use db3_governance::{Action, Misbehaviour, MisbehaviourKind, SignedProposal, validator_address};
use db3_primitives::limits::GOVERNANCE_SCHEDULED_MAX;
use db3_primitives::{BlockTime, Height, Rejection, Scheme};

use crate::support::{Chain, NOW, Number, operator, set, signed, validator, validator_key};

fn double_vote(number: u8) -> Misbehaviour {
    Misbehaviour {
        validator: validator_address(&validator_key(number)),
        kind: MisbehaviourKind::DuplicateVote,
        height: Height::new(7),
        time: BlockTime::from_secs(NOW - 5),
    }
}

#[test]
fn more_than_two_thirds_of_the_power_change_a_number_in_the_next_block() {
    let mut chain = Chain::new();
    let proposal = chain.proposal(vec![set(42)]);
    chain.accepts(&signed(proposal, &[1, 2, 3]));
    assert_eq!(chain.number, Number(1), "not in the block that brings it");
    let (report, _) = chain.block(&[], &[]);
    assert_eq!(chain.number, Number(42));
    assert_eq!((report.applied.len(), report.applied[0].failure.clone()), (1, None));
    let root = chain.tree.root();
    chain.block(&[], &[]);
    assert_eq!(chain.tree.root(), root, "an empty block changes nothing");
}

#[test]
fn two_thirds_exactly_are_too_little() {
    let chain = Chain::of(&[validator(1, 10), validator(2, 10), validator(3, 10)]);
    let proposal = chain.proposal(vec![set(2)]);
    let too_little = Err(Rejection::GovernancePower { signed: 20, total: 30 });
    assert_eq!(chain.judge(&signed(proposal.clone(), &[1, 2])), too_little);
    assert_eq!(chain.judge(&SignedProposal::unsigned(proposal.clone())).unwrap_err().code(), 230);
    assert!(chain.judge(&signed(proposal, &[1, 2, 3])).is_ok());
}

#[test]
fn an_operator_of_several_validators_signs_once_for_all_of_them() {
    let mut mine = validator(2, 50);
    mine.operator = operator(1).address();
    let chain = Chain::of(&[validator(1, 20), mine, validator(3, 30)]);
    let proposal = chain.proposal(vec![set(2)]);
    assert!(chain.judge(&signed(proposal.clone(), &[1])).is_ok());
    let twice = chain.judge(&signed(proposal.clone(), &[1, 1]));
    assert_eq!(twice, Err(Rejection::GovernanceSignedTwice { signer: operator(1).address() }));
}

#[test]
fn a_stranger_is_named_also_among_more_signatures_than_there_are_operators_and_can_be_taken_out() {
    let chain = Chain::of(&[validator(1, 10)]);
    let mut proposal = signed(chain.proposal(vec![set(2)]), &[1, 9]);
    let stranger = Rejection::GovernanceSigner { signer: operator(9).address() };
    assert_eq!(chain.judge(&proposal).unwrap_err(), stranger);
    assert_eq!(proposal.remove(&operator(9).address()), Ok(1));
    assert!(chain.judge(&proposal).is_ok());
    assert_eq!(proposal.remove(&operator(9).address()), Ok(0), "it is gone");
    proposal.sign(&operator(1), Scheme::Eip191);
    assert_eq!(proposal.remove(&operator(1).address()), Ok(2), "whatever the schemes");
    assert_eq!(chain.judge(&proposal).unwrap_err().code(), 230);
}

#[test]
fn a_signature_counts_once_whatever_its_scheme_and_a_stranger_counts_for_nothing() {
    let chain = Chain::new();
    let proposal = chain.proposal(vec![set(2)]);
    let mut twice = signed(proposal.clone(), &[1, 2]);
    twice.sign(&operator(2), Scheme::Eip191);
    assert_eq!(chain.judge(&twice).unwrap_err(), Rejection::GovernanceSignedTwice { signer: operator(2).address() });
    let stranger = chain.judge(&signed(proposal.clone(), &[1, 2, 9]));
    assert_eq!(stranger, Err(Rejection::GovernanceSigner { signer: operator(9).address() }));
    let mut mixed = signed(proposal.clone(), &[1, 2]);
    mixed.sign(&operator(3), Scheme::Eip191);
    assert!(chain.judge(&mixed).is_ok());
    // A signature over another body is another signer's.
    let other = signed(chain.proposal(vec![set(3)]), &[1, 2, 3]);
    let moved = SignedProposal { proposal, signatures: other.signatures };
    assert_eq!(chain.judge(&moved).unwrap_err().code(), 228);
}

#[test]
fn it_serves_on_one_chain_once_and_until_it_expires() {
    let mut chain = Chain::new();
    let proposal = chain.proposal(vec![set(2)]);
    let mut elsewhere = proposal.clone();
    elsewhere.chain_id = "test-shard-1".parse().unwrap();
    assert_eq!(chain.judge(&signed(elsewhere, &[1, 2, 3])).unwrap_err().code(), 225);
    let mut late = proposal.clone();
    late.expire_unix_secs = NOW;
    assert_eq!(chain.judge(&signed(late, &[1, 2, 3])).unwrap_err().code(), 201);
    let mut ahead = proposal.clone();
    ahead.sequence = 2;
    let gap = Err(Rejection::GovernanceSequence { sequence: 2, next: 1 });
    assert_eq!(chain.judge(&signed(ahead, &[1, 2, 3])), gap);
    let good = signed(proposal, &[1, 2, 3]);
    let (report, refused) = chain.block(&[], &[good.clone(), good.clone()]);
    assert_eq!((report.accepted.len(), refused[0].code()), (1, 226), "twice in one block");
    assert_eq!(chain.judge(&good).unwrap_err().code(), 226, "and after it");
}

#[test]
fn a_height_in_the_past_or_too_far_ahead_is_refused() {
    let mut chain = Chain::new();
    for _ in 0..5 {
        chain.block(&[], &[]);
    }
    for height in [1, 5, 6, u64::MAX] {
        let mut proposal = chain.proposal(vec![set(2)]);
        proposal.at_height = Height::new(height);
        assert_eq!(chain.judge(&signed(proposal, &[1, 2, 3])).unwrap_err().code(), 227, "{height}");
    }
    let mut proposal = chain.proposal(vec![set(2)]);
    proposal.at_height = Height::new(7);
    assert!(chain.judge(&signed(proposal, &[1, 2, 3])).is_ok());
}

#[test]
fn a_scheduled_change_survives_a_restart_and_comes_at_its_height() {
    let mut chain = Chain::new();
    let mut proposal = chain.proposal(vec![set(9), Action::SetValidator(validator(5, 7))]);
    proposal.at_height = Height::new(4);
    chain.accepts(&signed(proposal, &[2, 3, 4]));
    for height in 2..=3 {
        // Every block loads its session from the tree, as a node does that was restarted or restored.
        let (report, _) = chain.block(&[], &[]);
        assert!(report.applied.is_empty() && chain.number == Number(1), "{height}");
        assert_eq!(chain.session().scheduled().count(), 1);
    }
    let (report, _) = chain.block(&[], &[]);
    assert_eq!(report.validator_updates, [(validator_key(5), 7)]);
    assert_eq!((chain.number.clone(), chain.powers().len()), (Number(9), 5));
    assert_eq!(chain.session().scheduled().count(), 0);
}

#[test]
fn the_last_validator_stays_and_power_has_its_bound() {
    let chain = Chain::of(&[validator(1, 10)]);
    let refused = |actions| chain.judge(&signed(chain.proposal(actions), &[1])).unwrap_err();
    let last = refused(vec![Action::RemoveValidator { key: validator_key(1) }]);
    assert!(last.to_string().contains("at least one validator"), "{last}");
    let power = refused(vec![Action::SetValidator(validator(2, (1 << 60) - 5))]);
    assert!(power.to_string().contains("voting power of all"), "{power}");
    assert_eq!(refused(vec![Action::SetValidator(validator(2, u64::MAX))]).code(), 231);
    let none = refused(vec![Action::SetValidator(validator(2, 0))]);
    assert!(none.to_string().contains("no voting power"), "{none}");
    let mut bad = validator(2, 1);
    let is_none = |key: &[u8; 32]| ed25519_consensus::VerificationKey::try_from(*key).is_err();
    bad.key = (0..=u8::MAX).map(|byte| [byte; 32]).find(is_none).unwrap();
    assert!(refused(vec![Action::SetValidator(bad)]).to_string().contains("ed25519"));
    assert_eq!(refused(vec![Action::RemoveValidator { key: validator_key(9) }]).code(), 231);
    // Exchanged in one go is fine.
    let swap = vec![Action::RemoveValidator { key: validator_key(1) }, Action::SetValidator(validator(2, 1))];
    assert!(chain.judge(&signed(chain.proposal(swap), &[1])).is_ok());
}

#[test]
fn all_actions_are_done_or_none_and_the_one_at_fault_is_named() {
    let mut chain = Chain::new();
    let proposal = chain.proposal(vec![set(5), Action::RemoveValidator { key: validator_key(9) }, set(6)]);
    let refused = chain.judge(&signed(proposal, &[1, 2, 3])).unwrap_err();
    assert!(matches!(refused, Rejection::GovernanceAction { action: 1, .. }), "{refused}");
    let whole = chain.judge(&signed(chain.proposal(vec![set(5), set(100)]), &[1, 2, 3])).unwrap_err();
    assert!(matches!(whole, Rejection::GovernanceAction { action: 1, .. }), "{whole}");
    // What is too much in between may be right at the end.
    let proposal = chain.proposal(vec![set(100), set(5)]);
    chain.accepts(&signed(proposal, &[1, 2, 3]));
    chain.block(&[], &[]);
    assert_eq!(chain.number, Number(5));
}

#[test]
fn a_change_that_cannot_be_done_any_more_is_dropped_as_a_whole() {
    let mut chain = Chain::new();
    let mut removal = chain.proposal(vec![set(50), Action::RemoveValidator { key: validator_key(4) }]);
    removal.at_height = Height::new(3);
    chain.accepts(&signed(removal, &[1, 2, 3]));
    chain.block(&[double_vote(4)], &[]);
    let (report, _) = chain.block(&[], &[]);
    assert_eq!(report.applied[0].failure.as_ref().map(Rejection::code), Some(231));
    assert_eq!((chain.number.clone(), chain.powers().len()), (Number(1), 3));
}

#[test]
fn a_proposal_is_tried_on_what_earlier_ones_will_leave() {
    let mut chain = Chain::new();
    let mut first = chain.proposal(vec![Action::SetValidator(validator(5, 10))]);
    first.at_height = Height::new(10);
    chain.accepts(&signed(first, &[1, 2, 3]));
    let mut removal = chain.proposal(vec![Action::RemoveValidator { key: validator_key(5) }]);
    removal.at_height = Height::new(9);
    assert_eq!(chain.judge(&signed(removal.clone(), &[1, 2, 3])).unwrap_err().code(), 231, "before it is there");
    removal.at_height = Height::new(11);
    assert!(chain.judge(&signed(removal, &[1, 2, 3])).is_ok());
}

#[test]
fn a_scheduled_change_can_be_cancelled_and_only_so_many_wait() {
    let mut chain = Chain::new();
    let mut scheduled = chain.proposal(vec![set(77)]);
    scheduled.at_height = Height::new(100);
    chain.accepts(&signed(scheduled, &[1, 2, 3]));
    let nothing = chain.proposal(vec![Action::Cancel { sequence: 9 }]);
    assert_eq!(chain.judge(&signed(nothing, &[1, 2, 3])).unwrap_err().code(), 231);
    let cancel = chain.proposal(vec![Action::Cancel { sequence: 1 }]);
    chain.accepts(&signed(cancel, &[1, 2, 3]));
    chain.block(&[], &[]);
    assert_eq!(chain.session().scheduled().count(), 0);
    for number in 0..GOVERNANCE_SCHEDULED_MAX {
        let mut one = chain.proposal(vec![set(2)]);
        one.at_height = Height::new(200 + number as u64);
        chain.accepts(&signed(one, &[1, 2, 3]));
    }
    let more = chain.proposal(vec![set(2)]);
    assert_eq!(chain.judge(&signed(more, &[1, 2, 3])).unwrap_err().code(), 232);
}

#[test]
fn an_operator_that_was_removed_meanwhile_signs_nothing_any_more() {
    let mut chain = Chain::new();
    let removal = chain.proposal(vec![Action::RemoveValidator { key: validator_key(1) }]);
    chain.accepts(&signed(removal, &[1, 2, 3]));
    chain.block(&[], &[]);
    let proposal = chain.proposal(vec![set(2)]);
    let with_it = chain.judge(&signed(proposal.clone(), &[1, 2, 3]));
    assert_eq!(with_it, Err(Rejection::GovernanceSigner { signer: operator(1).address() }));
    assert!(chain.judge(&signed(proposal, &[2, 3, 4])).is_ok());
}

#[test]
fn misbehaviour_takes_the_power_is_recorded_and_counts_once() {
    let mut chain = Chain::new();
    let (report, _) = chain.block(&[double_vote(3), double_vote(3)], &[]);
    assert_eq!(report.validator_updates, [(validator_key(3), 0)]);
    assert_eq!(report.evidence.len(), 1);
    let known = report.evidence[0].known.unwrap();
    assert!(known.removed && known.operator == operator(3).address());
    let root = chain.tree.root();
    let (report, _) = chain.block(&[double_vote(3)], &[]);
    assert_eq!((report.evidence.len(), report.validator_updates.len(), chain.tree.root()), (0, 0, root));
    assert_eq!(chain.session().evidence().count(), 1);
    // Its key never comes back; a new one of the same operator may.
    let back = chain.proposal(vec![Action::SetValidator(validator(3, 10))]);
    assert_eq!(chain.judge(&signed(back, &[1, 2, 4])).unwrap_err().code(), 231);
    let mut renewed = validator(8, 10);
    renewed.operator = operator(3).address();
    assert!(chain.judge(&signed(chain.proposal(vec![Action::SetValidator(renewed)]), &[1, 2, 4])).is_ok());
}

#[test]
fn the_last_validator_keeps_its_power_and_its_deed_is_recorded() {
    let mut chain = Chain::of(&[validator(1, 10), validator(2, 5)]);
    let (report, _) = chain.block(&[double_vote(2), double_vote(1)], &[]);
    assert_eq!(report.validator_updates, [(validator_key(2), 0)]);
    assert_eq!(report.evidence.iter().map(db3_governance::Evidence::removed).collect::<Vec<_>>(), [true, false]);
    assert_eq!(chain.powers().len(), 1);
    let root = chain.tree.root();
    let (report, _) = chain.block(&[double_vote(1)], &[]);
    assert_eq!((report.evidence.len(), chain.tree.root()), (0, root), "as long as it is the last one");
}

#[test]
fn a_deed_of_the_last_validator_is_no_leave_for_the_next_one() {
    let mut chain = Chain::of(&[validator(1, 10)]);
    chain.block(&[double_vote(1)], &[]);
    let grown = chain.proposal((2..5).map(|number| Action::SetValidator(validator(number, 10))).collect());
    chain.accepts(&signed(grown, &[1]));
    chain.block(&[], &[]);
    assert_eq!(chain.powers().len(), 4);
    let (report, _) = chain.block(&[double_vote(1)], &[]);
    assert_eq!(report.validator_updates, [(validator_key(1), 0)]);
    assert_eq!((report.evidence.len(), report.evidence[0].recorded), (1, Height::new(4)));
    assert_eq!(
        chain.session().evidence().collect::<Vec<_>>(),
        report.evidence,
        "the newer deed, in place of the first"
    );
}

#[test]
fn a_deed_of_one_that_has_left_is_recorded_and_its_key_does_not_come_back() {
    let mut chain = Chain::new();
    let removal = chain.proposal(vec![Action::RemoveValidator { key: validator_key(4) }]);
    chain.accepts(&signed(removal, &[1, 2, 3]));
    let back = |chain: &Chain| {
        let proposal = chain.proposal(vec![Action::SetValidator(validator(4, 10))]);
        chain.judge(&signed(proposal, &[1, 2, 3]))
    };
    chain.block(&[], &[]);
    assert!(back(&chain).is_ok(), "nothing is known against it");
    let (report, _) = chain.block(&[double_vote(4), double_vote(4)], &[]);
    assert!(report.validator_updates.is_empty());
    let recorded: Vec<_> = chain.session().evidence().collect();
    assert_eq!((report.evidence.len(), &recorded), (1, &report.evidence));
    let [evidence] = recorded.as_slice() else { unreachable!() };
    assert_eq!((evidence.validator, evidence.known), (validator_address(&validator_key(4)), None));
    assert!(evidence.removed());
    assert_eq!(back(&chain).unwrap_err().code(), 231);
    let root = chain.tree.root();
    chain.block(&[double_vote(4)], &[]);
    assert_eq!(chain.tree.root(), root, "evidence again");
}

#[test]
fn of_one_that_left_after_its_first_deed_it_stays_known_who_it_was() {
    let mut chain = Chain::of(&[validator(1, 10)]);
    chain.block(&[double_vote(1)], &[]);
    let swap = vec![Action::RemoveValidator { key: validator_key(1) }, Action::SetValidator(validator(2, 1))];
    let swap = chain.proposal(swap);
    chain.accepts(&signed(swap, &[1]));
    chain.block(&[], &[]);
    let (report, _) = chain.block(&[double_vote(1)], &[]);
    let known = report.evidence[0].known.unwrap();
    assert_eq!((known.key, known.power, known.removed), (validator_key(1), 10, true));
}

#[test]
fn a_chain_without_operators_is_governed_by_nobody() {
    let mut chain = Chain::new();
    let proposal = chain.proposal(vec![set(2)]);
    chain.tree = db3_state_tree::Tree::new();
    assert_eq!(chain.judge(&signed(proposal, &[1, 2, 3])).unwrap_err().code(), 224);
    let (report, _) = chain.block(&[double_vote(1)], &[]);
    assert!(report.evidence.is_empty() && chain.tree.is_empty());
}
