//! The word that was probably meant.

/// The candidate with the fewest typing errors, if they are few for a word of this length.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed: Vec<char> = typed.chars().take(64).map(|c| c.to_ascii_lowercase()).collect();
    let allowed = 1 + typed.len() / 4;
    candidates
        .into_iter()
        .map(|candidate| (distance(&typed, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, changes and swaps of neighbours (optimal string alignment).
fn distance(typed: &[char], candidate: &str) -> usize {
    let candidate: Vec<char> = candidate.chars().map(|c| c.to_ascii_lowercase()).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=candidate.len()).collect();
    for (row, typed_char) in typed.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, candidate_char) in candidate.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let change = at(&above, column) + usize::from(typed_char != candidate_char);
            let mut least = change.min(at(&above, column + 1) + 1).min(at(&line, column) + 1);
            let swapped = row > 0
                && column > 0
                && typed.get(row - 1) == Some(candidate_char)
                && candidate.get(column - 1) == Some(typed_char);
            if swapped {
                least = least.min(at(&before, column - 1) + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let words = ["command", "umask", "user", "restart", "restart-delay"];
        for (typed, meant) in
            [("comand", "command"), ("suer", "user"), ("restart_delay", "restart-delay"), ("Umask", "umask")]
        {
            assert_eq!(nearest(typed, words), Some(meant), "{typed}");
        }
    }

    #[test]
    fn a_word_that_is_far_from_all_is_not_guessed() {
        assert_eq!(nearest("zebra", ["command", "user"]), None);
        assert_eq!(nearest("x", []), None);
        assert_eq!(nearest("", ["user"]), None);
    }
}
