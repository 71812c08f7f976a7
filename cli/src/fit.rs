//! Text that fits a width, counted in characters. Pure.

/// Lines of at most `width` characters, broken at spaces; those after the first begin with `indent`
/// spaces. A word that is longer than a line stays whole.
pub(crate) fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    // Spaces go with the word behind them, so that columns stay columns within a line.
    for piece in pieces(text) {
        let is_full = length(&line) + length(piece) > width;
        let word = piece.trim_start_matches(' ');
        if is_full && !line.trim().is_empty() {
            lines.push(line);
            line = format!("{:indent$}{word}", "");
        } else {
            line += piece;
        }
    }
    lines.push(line);
    lines
}

/// At most `width` characters; `…` stands for what was cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

/// Most faults that are shown at once: who has more mends these first.
const FAULTS_MAX: usize = 50;

/// The first of many lines, and how many more there are.
pub(crate) fn first_of(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > FAULTS_MAX {
        let more = lines.len() - FAULTS_MAX;
        lines.truncate(FAULTS_MAX);
        lines.push(format!("and {more} more"));
    }
    lines
}

pub(crate) fn length(text: &str) -> usize {
    text.chars().count()
}

/// Each word with the spaces before it.
fn pieces(text: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let mut before = 'x';
    for (at, c) in text.char_indices() {
        if c == ' ' && before != ' ' && at > 0 {
            starts.push(at);
        }
        before = c;
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &text[*start..end])
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_indented() {
        let text = "next      25 % when: 300 samples, gate closed";
        assert_eq!(
            wrapped(text, 24, 10),
            [
                "next      25 % when: 300",
                "          samples, gate",
                "          closed"
            ]
        );
        assert_eq!(wrapped(text, 80, 10), [text]);
        assert_eq!(wrapped("", 80, 10), [""]);
        assert_eq!(wrapped("a-long-word b", 5, 1), ["a-long-word", " b"]);
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 5), "abcd…");
        assert_eq!(cut("ab", 0), "…");
    }

    #[test]
    fn of_many_faults_the_first_are_shown_and_the_rest_is_counted() {
        let lines = |n: usize| (0..n).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(first_of(lines(50)), lines(50));
        let shown = first_of(lines(10_000));
        assert_eq!(shown.len(), 51);
        assert_eq!(shown.last().map(String::as_str), Some("and 9950 more"));
    }

    proptest! {
        #[test]
        fn no_word_is_lost(text in "([a-zé→]{1,9} {1,3}){0,12}[a-z]{1,9}", width in 1..40_usize) {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let lines = wrapped(&text, width, 2);
            prop_assert_eq!(words(&lines.join(" ")), words(&text));
            for line in lines {
                prop_assert!(length(&line) <= width || words(&line).len() == 1, "{:?}", line);
            }
        }
    }
}
