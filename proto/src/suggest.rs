//! Did you mean …? The known word that is nearest to one that is not known.
//!
//! Nearest by Levenshtein distance, upper case and underscores aside, and only if near enough that
//! the guess is more help than noise.

/// Most known words that are looked at: a guess may cost no more than what it explains.
const KNOWN_MAX: usize = 200;

/// The known word nearest to `word`, if at most a third of it has to change.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = simplified(word);
    let near_enough = (plain.len() / 3).max(1);
    known
        .take(KNOWN_MAX)
        .map(|candidate| (distance(&plain, &simplified(candidate)), candidate))
        .filter(|(distance, _)| *distance <= near_enough)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Lower-case letters without separators, at most 64: nobody's typing error is longer.
fn simplified(word: &str) -> Vec<char> {
    let letters = word.chars().filter(|c| !matches!(c, '_' | '-'));
    letters.flat_map(char::to_lowercase).take(64).collect()
}

/// Levenshtein's distance, one row at a time; two neighbours that changed places count once.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut older = Vec::new();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let is_same = a.get(i - 1) == b.get(j - 1);
            let replaced = at(&row, j - 1) + usize::from(!is_same);
            let mut least = replaced.min(at(&row, j) + 1).min(at(&next, j - 1) + 1);
            let is_swapped =
                i > 1 && j > 1 && a.get(i - 1) == b.get(j - 2) && a.get(i - 2) == b.get(j - 1);
            if is_swapped {
                least = least.min(at(&older, j - 2) + 1);
            }
            next.push(least);
        }
        older = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let known = ["weights", "canary", "fallback", "baseUrl", "usageInStream"];
        let table = [
            ("wieghts", Some("weights")),
            ("weight", Some("weights")),
            ("base_url", Some("baseUrl")),
            ("baseURL", Some("baseUrl")),
            ("usage-in-stream", Some("usageInStream")),
            ("canrya", Some("canary")),
            ("kanarie", None),
            ("", None),
            ("x", None),
        ];
        for (word, expected) in table {
            assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
        }
    }

    #[test]
    fn distance_counts_single_changes() {
        let chars = |word: &str| word.chars().collect::<Vec<_>>();
        for (a, b, expected) in [
            ("", "", 0),
            ("abc", "", 3),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("ab", "ba", 1),
            ("stpes", "steps", 1),
            ("abc", "cab", 2),
        ] {
            assert_eq!(distance(&chars(a), &chars(b)), expected, "{a} {b}");
        }
    }
}
