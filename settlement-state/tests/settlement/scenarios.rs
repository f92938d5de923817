//! What rounds and transactions do, by text tables.

use std::num::NonZeroU64;

use db3_settlement_state::Genesis;

use crate::script::{run, run_with};

#[test]
fn an_account_that_can_pay_pays_once_for_all_shards_and_gets_its_credit_back() {
    run(
        2,
        "
        money alice 1000 500 0=200 1=100
        at 0 1
        rounds 1
        line alice 0 200 200 200 0 0 0 0
        line alice 1 100 100 100 0 0 0 0
        lease 0 3
        stated 0 alice 150
        closed 0 0
        rounds 1                            # shard 1 has not closed
        stated 1 alice 30
        closed 1 0
        rounds 2
        postings alice round:180/180/0
        see alice 820 500 clear 0
        line alice 0 200 350 350 150 150 150 0
        line alice 1 100 130 130 30 30 30 0
        postings v1 payout:0/100/0 payout:0/20/0
        postings v2 payout:0/50/0 payout:0/10/0
        see v1 120 0 clear 0
        lease 0 4
        # Less than a quarter of what is wanted was used: the ceiling stays.
        stated 0 alice 199
        closed 0 1
        closed 1 1
        line alice 0 200 350 350 199 199 199 0
        postings alice round:180/180/0 round:49/49/0
        ",
    );
}

#[test]
fn what_the_division_leaves_over_goes_to_the_lowest_shard_and_to_the_treasury() {
    run(
        2,
        "
        money bob 10 90 0=30 1=60
        stated 0 bob 20
        closed 0 0
        stated 1 bob 40
        closed 1 0
        postings bob round:60/10/0
        see bob 0 90 outstanding 50
        line bob 0 30 30 30 20 20 4 0
        line bob 1 60 60 60 40 40 6 0
        postings v1 payout:0/2/0 payout:0/4/0
        postings v2 payout:0/1/0 payout:0/2/0
        postings treasury payout:0/1/0
        ",
    );
}

#[test]
fn who_cannot_pay_is_outstanding_then_delinquent_and_then_the_collateral_pays() {
    run(
        2,
        "
        money bob 10 90 0=30 1=60
        money carol 500 0
        stated 0 bob 20
        closed 0 0
        stated 1 bob 40
        closed 1 0
        see bob 0 90 outstanding 50
        bob: transfer carol 1 => 308
        bob: withdraw 1 => 308
        bob: deposit bob 1 => 308
        carol: deposit bob 1 => 308
        bob: pay 0 => 307
        carol: pay 0 => 312
        closed 0 1
        closed 1 1
        see bob 0 90 delinquent 50
        postings bob round:60/10/0
        line bob 0 30 20 30 20 20 4 0        # cut to what is used, not yet confirmed
        line bob 1 60 40 60 40 40 6 0
        bob: allocate 0 25 => ok             # what is wanted may be said, and gives nothing
        line bob 0 25 20 30 20 20 4 0
        bob: allocate 0 30 => ok
        closed 0 2
        closed 1 2
        postings bob round:60/10/0 seize:0/50/0
        see bob 0 40 clear 0
        line bob 0 30 20 20 20 20 20 0       # confirmed; a seizure issues no ceiling
        line bob 1 60 40 40 40 40 40 0
        closed 0 3
        closed 1 3
        line bob 0 30 50 50 20 20 20 0       # as far as the smaller limit goes
        line bob 1 60 50 50 40 40 40 0
        ",
    );
}

#[test]
fn what_the_collateral_does_not_cover_is_written_off_at_last() {
    fn double(genesis: Genesis) -> Genesis {
        Genesis { factor_num: 2, factor_den: NonZeroU64::new(1).unwrap(), ..genesis }
    }
    run_with(
        1,
        double,
        "
        money dave 0 20 0=40
        stated 0 dave 40
        closed 0 0
        postings dave round:40/0/0
        see dave 0 20 outstanding 40
        closed 0 1
        see dave 0 20 delinquent 40
        closed 0 2
        postings dave round:40/0/0 seize:0/20/0
        see dave 0 0 delinquent 20
        closed 0 3
        postings dave round:40/0/0 seize:0/20/0 write_off:0/0/20
        see dave 0 0 clear 0
        line dave 0 0 40 40 40 40 20 20
        postings v1 payout:0/13/0
        postings v2 payout:0/6/0
        postings treasury payout:0/1/0
        ",
    );
}

#[test]
fn a_debt_is_not_older_for_the_time_in_which_the_network_stood_still() {
    run(
        1,
        "
        money bob 0 100 0=60
        stated 0 bob 40
        closed 0 0
        see bob 0 100 outstanding 40
        at 5000 50                           # a month later, a round that the deadline began
        rounds 3
        see bob 0 100 outstanding 40         # nobody could pay meanwhile
        closed 0 4999                        # and the round of what the shard closed follows at once
        rounds 4
        see bob 0 100 delinquent 40          # one older: cut, and not yet seized
        at 9000 100
        see bob 0 60 clear 0
        ",
    );
}

#[test]
fn credit_that_a_cut_frees_is_given_elsewhere_by_the_round_of_the_same_close() {
    run(
        2,
        "
        money alice 0 100 0=100
        at 0 1
        alice: allocate 0 0 => ok
        alice: allocate 1 100 => ok
        line alice 1 100 0 0 0 0 0 0         # nothing is free yet
        closed 1 0
        closed 0 0
        rounds 2
        line alice 0 0 0 0 0 0 0 0
        line alice 1 100 100 100 0 0 0 0
        ",
    );
}

#[test]
fn a_shard_that_is_late_joins_the_next_round() {
    run(
        2,
        "
        money alice 1000 500 0=200 1=100
        stated 0 alice 10
        closed 0 0
        rounds 1
        at 1 99
        rounds 1
        at 1 100                             # the deadline
        rounds 2
        postings alice round:10/10/0
        stated 1 alice 7
        closed 1 0
        rounds 2                             # epoch 0 is settled
        closed 0 1
        closed 1 1
        rounds 3
        postings alice round:10/10/0 round:7/7/0
        ",
    );
}

#[test]
fn a_debtor_who_gets_money_pays_by_a_transaction_and_has_credit_at_once() {
    run(
        1,
        "
        money bob 0 100 0=60
        money carol 500 0
        stated 0 bob 40
        closed 0 0
        see bob 0 100 outstanding 40
        carol: transfer bob 25 => ok
        bob: pay 10 => ok
        see bob 15 100 outstanding 30
        bob: pay 16 => 307
        bob: pay 0 => ok                     # all that there is
        see bob 0 100 outstanding 15
        bob: pay 0 => 307
        carol: transfer bob 40 => ok
        bob: pay 1000 => ok                  # no more than is owed
        see bob 25 100 clear 0
        postings bob round:40/0/0 pay:0/10/0 pay:0/15/0 pay:0/15/0
        line bob 0 60 100 100 40 40 40 0
        bob: pay 0 => 312
        bob: transfer carol 25 => ok
        ",
    );
}

#[test]
fn a_first_deposit_opens_a_line_where_the_accounts_namespace_is() {
    run(
        1,
        "
        money carol 500 0
        carol: deposit carol 101 => ok
        see carol 399 101 clear 0
        line carol 0 50 50 50 0 0 0 0
        carol: deposit dora 9 => ok
        see dora 0 9 clear 0
        line dora 0 4 4 4 0 0 0 0
        carol: deposit carol 19 => ok        # the line grows with the limit
        line carol 0 60 60 60 0 0 0 0
        carol: deposit dora 91 => ok
        line dora 0 50 50 50 0 0 0 0
        carol: allocate 0 80 => ok
        line carol 0 80 80 80 0 0 0 0
        carol: allocate 0 200 => ok          # as far as the limit goes
        line carol 0 200 120 120 0 0 0 0
        carol: deposit carol 100 => ok       # what was chosen stays, and is given as far as it goes now
        line carol 0 200 200 200 0 0 0 0
        carol: allocate 1 5 => 311
        ",
    );
}

#[test]
fn who_allocates_in_the_transaction_of_a_deposit_gets_that_and_no_line_besides() {
    run(
        1,
        "
        money carol 500 0
        money dora 500 0
        carol: deposit carol 100; allocate 0 0 => ok
        see carol 400 100 clear 0
        carol: deposit carol 20; allocate 0 30 => ok
        line carol 0 30 30 30 0 0 0 0        # held no more: nothing was given and taken back
        dora: deposit dora 100 => ok
        line dora 0 50 50 50 0 0 0 0
        dora: deposit dora 100; allocate 0 50 => ok
        line dora 0 50 50 50 0 0 0 0
        carol: deposit dora 10; allocate 0 40 => ok     # what she asks for herself says nothing of dora's lines
        line dora 0 50 50 50 0 0 0 0
        line carol 0 40 40 40 0 0 0 0
        ",
    );
}

#[test]
fn collateral_comes_free_when_the_shard_has_confirmed_the_cut() {
    run(
        1,
        "
        money alice 0 100 0=80
        at 0 1
        alice: withdraw 20 => ok
        alice: withdraw 1 => 310
        alice: withdraw 81 => 309
        alice: allocate 0 30 => ok
        line alice 0 30 30 80 0 0 0 0
        alice: withdraw 1 => 310
        closed 0 0 2                         # it knows the line and the heartbeat, not the cut
        alice: withdraw 1 => 310
        stated 0 alice 35
        closed 0 1
        line alice 0 30 50 50 35 35 20 0     # freed, and renewed up to what is wanted
        alice: withdraw 1 => 308
        ",
    );
}

#[test]
fn a_cut_is_confirmed_by_the_end_of_the_lease_alone() {
    fn short(genesis: Genesis) -> Genesis {
        Genesis { lease_epochs: 1, ..genesis }
    }
    run_with(
        1,
        short,
        "
        money alice 0 100 0=80
        at 0 1
        lease 0 1
        alice: allocate 0 0 => ok
        line alice 0 0 0 80 0 0 0 0
        closed 0 0 0                         # it has heard nothing at all
        line alice 0 0 0 80 0 0 0 0
        closed 0 1 0
        line alice 0 0 0 0 0 0 0 0
        alice: withdraw 100 => ok
        ",
    );
}

#[test]
fn a_transaction_is_all_or_nothing() {
    run(
        2,
        "
        money alice 100 50 0=10
        money bob 0 0
        alice: transfer bob 60; deposit alice 10; allocate 1 5; transfer bob 60 => 307
        see alice 100 50 clear 0
        see bob 0 0 clear 0
        alice: transfer bob 60; deposit alice 10; allocate 1 5 => ok
        see alice 30 60 clear 0
        line alice 1 5 5 5 0 0 0 0
        bob: transfer bob 60 => ok           # to oneself
        see bob 60 0 clear 0
        ",
    );
}
