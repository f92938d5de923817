//! Carries entries between chains; anyone may run it, nobody needs to trust it.
