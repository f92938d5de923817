//! Delivery of one chain's log to another: what both directions share.
