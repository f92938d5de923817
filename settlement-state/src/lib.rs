//! The settlement chain as a function: version + block → new version + effects.
