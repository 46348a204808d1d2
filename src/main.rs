//! Chooses the role by argv[0] or the first word.

fn main() {}
