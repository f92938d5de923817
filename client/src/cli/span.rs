//! A span of time as the command line names it, `--since` and `--until`: what lies in [since, until).

use db3_primitives::BlockTime;

use super::failure::Failure;

/// Refuses a span that ends before it begins, in which nothing can lie: whoever gave it mistook one of the two.
pub fn check(since: Option<BlockTime>, until: Option<BlockTime>) -> Result<(), Failure> {
    match (since, until) {
        (Some(since), Some(until)) if since >= until => Err(Failure::input(
            format!("nothing lies between --since {} and --until {}", since.rfc3339(), until.rfc3339()),
            "give --until a later time than --since",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_that_ends_before_it_begins_is_refused_by_both_its_times() {
        let at = |secs| Some(BlockTime::from_secs(secs));
        for (since, until) in [(None, None), (at(9), None), (None, at(1)), (at(1), at(9))] {
            assert!(check(since, until).is_ok());
        }
        for (since, until) in [(at(9), at(1)), (at(5), at(5))] {
            let said = check(since, until).err().map(|failure| failure.to_string()).unwrap_or_default();
            assert!(said.contains("--since 1970-01-01T00:00:0") && said.contains("--until 1970-01-01"), "{said}");
        }
    }
}
