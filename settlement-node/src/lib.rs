//! The settlement node.
