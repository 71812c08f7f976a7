//! Which etcd is too old to be relied on. Pure.

/// Oldest patch of each minor line that is free of known breaks of authorisation and of progress
/// that overtakes events. Lines before the first are too old, those after the last are taken as
/// they are.
const FLOORS: [(u32, u32, u32); 2] = [(3, 5, 33), (3, 6, 14)];

/// Whether a version such as `3.6.16` is below the floor of its line. What cannot be read is not
/// judged.
pub(super) fn is_too_old(version: &str) -> bool {
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
    let release = version.split('-').next().unwrap_or_default();
    let mut parts = release.split('.');
    let (Some(major), Some(minor), Some(patch)) = (
        number(parts.next()),
        number(parts.next()),
        number(parts.next()),
    ) else {
        return false;
    };
    let line = FLOORS
        .iter()
        .find(|floor| (floor.0, floor.1) == (major, minor));
    match line {
        Some(floor) => patch < floor.2,
        None => (major, minor) < (FLOORS[0].0, FLOORS[0].1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_floor() {
        let table = [
            ("3.4.30", true),
            ("3.5.2", true),
            ("3.5.32", true),
            ("3.5.33", false),
            ("3.6.13", true),
            ("3.6.14", false),
            ("3.6.16", false),
            ("3.7.0-rc.1", false),
            ("4.0.0", false),
            ("2.3.8", true),
            ("", false),
            ("unknown", false),
        ];
        for (version, expected) in table {
            assert_eq!(is_too_old(version), expected, "{version:?}");
        }
    }
}
