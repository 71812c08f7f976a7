//! What units promise: exact shares, exact durations, money that prints as it is.
//!
//! Tables for what is accepted and refused, properties for print-then-read. Refused texts name
//! their reason, because people see it.

use proptest::prelude::*;

use super::*;

#[rustfmt::skip]
#[test]
fn durations_mean_what_they_say() {
    let table = [
        ("250ms", Ok(250)), ("1.5s", Ok(1_500)), ("5m", Ok(300_000)), ("24h", Ok(86_400_000)),
        ("1m30s", Ok(90_000)), ("1h0.5s", Ok(3_600_500)), ("0s", Ok(0)), ("87600h", Ok(315_360_000_000)),
        ("", Err(BadDuration::Empty)), ("5", Err(BadDuration::NoUnit)), ("s", Err(BadDuration::NoNumber)),
        ("-5s", Err(BadDuration::NoNumber)), ("5 s", Err(BadDuration::NoUnit)), (" 5s", Err(BadDuration::NoNumber)),
        ("5d", Err(BadDuration::BadUnit)), ("5S", Err(BadDuration::BadUnit)), ("5us", Err(BadDuration::BadUnit)),
        ("30s1m", Err(BadDuration::BadUnit)), ("1s1s", Err(BadDuration::BadUnit)), ("1e3s", Err(BadDuration::BadUnit)),
        (".5s", Err(BadDuration::BadNumber)), ("1.s", Err(BadDuration::BadNumber)), ("1.2.3s", Err(BadDuration::BadNumber)),
        ("1.0000000001s", Err(BadDuration::BadNumber)), ("٣s", Err(BadDuration::NoNumber)),
        ("87600h1ms", Err(BadDuration::TooLong)), ("99999999999999999999s", Err(BadDuration::TooLong)),
        ("18446744073709551615h", Err(BadDuration::TooLong)),
    ];
    for (text, expected) in table {
        assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text:?}");
    }
}

#[rustfmt::skip]
#[test]
fn shares_are_exact_to_a_hundredth_of_a_percent() {
    let table = [
        (0.0, Some(0)), (-0.0, Some(0)), (0.01, Some(1)), (0.29, Some(29)), (33.33, Some(3_333)), (99.99, Some(9_999)),
        (100.0, Some(10_000)), (0.001, None), (33.333, None), (-0.01, None), (100.01, None), (f64::NAN, None), (f64::INFINITY, None),
    ];
    for (percent, hundredths) in table {
        assert_eq!(Share::try_from(percent).ok().map(Share::hundredths), hundredths, "{percent}");
    }
    assert_eq!(Share::from_hundredths(10_001), None);
}

#[rustfmt::skip]
#[test]
fn money_prints_as_an_exact_decimal() {
    let table = [(0, "0"), (1, "0.000000001"), (420_000, "0.00042"), (1_500_000_000, "1.5"), (12_000_000_000, "12")];
    for (nanos, text) in table {
        assert_eq!(NanoUsd(nanos).to_string(), text);
    }
    assert_eq!(NanoUsd::of_tokens(1_000, 2.5), NanoUsd(2_500_000));
    assert_eq!(NanoUsd::of_tokens(5, f64::NAN), NanoUsd(0));
    assert_eq!(NanoUsd::of_tokens(5, -1.0), NanoUsd(0));
    assert_eq!([NanoUsd(u64::MAX), NanoUsd(1)].into_iter().sum::<NanoUsd>(), NanoUsd(u64::MAX));
}

proptest! {
    #[test]
    fn a_printed_share_reads_back(hundredths in 0u16..=10_000) {
        let share = Share::from_hundredths(hundredths).unwrap();
        let read: f64 = share.to_string().parse().unwrap();
        prop_assert_eq!(Share::try_from(read), Ok(share));
    }

    #[test]
    fn a_printed_duration_reads_back(ms in 0u64..=315_360_000_000) {
        let (h, m, s, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
        let texts = [format!("{h}h{m}m{s}s{rest}ms"), format!("{}.{:03}s", ms / 1_000, rest)];
        for text in texts {
            prop_assert_eq!(parse_duration(&text), Ok(Duration::from_millis(ms)), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_the_duration_parser_panic(text in "[0-9a-zé. -]{0,24}") {
        let _ = parse_duration(&text);
    }
}
