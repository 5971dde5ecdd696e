use proptest::prelude::*;

use crate::breaker::adaptive::{HOURS, UtcOffset, hour_of_week};

const HOUR: u64 = 3600;

fn offset(text: &str) -> UtcOffset {
    text.parse().unwrap()
}

#[test]
fn hours_are_those_of_a_calendar() {
    // 1970-01-01T00:00Z, a Thursday.
    assert_eq!(hour_of_week(0, UtcOffset::UTC), 72);
    assert_eq!(hour_of_week(0, offset("-00:01")), 71);
    assert_eq!(hour_of_week(0, offset("-14:00")), 58);
    // 2026-01-05T00:00Z, a Monday.
    let monday = 1_767_571_200;
    assert_eq!(hour_of_week(monday, UtcOffset::UTC), 0);
    assert_eq!(hour_of_week(monday - 1, UtcOffset::UTC), 167);
    assert_eq!(hour_of_week(monday + 26 * HOUR, offset("+05:45")), 31);
    assert_eq!(
        hour_of_week(u64::MAX, offset("+14:00")),
        (72 + 14 + (u64::MAX / HOUR) as usize % HOURS) % HOURS
    );
}

#[test]
fn an_offset_is_read_as_it_is_written_and_nothing_else_is() {
    for text in ["+00:00", "+02:00", "-03:30", "+14:00", "-14:00", "+05:45", "+05:59"] {
        assert_eq!(offset(text).to_string(), text);
    }
    assert_eq!(offset("-03:30").minutes(), -210);
    for bad in [
        "",
        "+",
        "2",
        "02:00",
        "+2:00",
        "+02:60",
        "+14:01",
        "-14:01",
        "+99:99",
        "+02:00 ",
        "+0a:00",
        "+02-00",
        "Z",
        "\u{661}02:00",
    ] {
        assert!(bad.parse::<UtcOffset>().is_err(), "{bad}");
    }
    assert_eq!(UtcOffset::from_minutes(841), None);
    assert_eq!(UtcOffset::from_minutes(i32::MIN), None);
}

proptest! {
    #[test]
    fn every_second_has_an_hour_and_the_next_hour_follows(at in any::<u64>(), minutes in -840..=840) {
        let offset = UtcOffset::from_minutes(minutes).unwrap();
        let at = at.min(u64::MAX - HOUR);
        let hour = hour_of_week(at, offset);
        prop_assert!(hour < HOURS);
        prop_assert_eq!(hour_of_week(at + HOUR, offset), (hour + 1) % HOURS);
    }

    #[test]
    fn any_text_is_an_offset_or_an_error(text in "\\PC{0,8}") {
        if let Ok(offset) = text.parse::<UtcOffset>() {
            prop_assert_eq!(offset.to_string().replace("-00:00", "+00:00"), text.replace("-00:00", "+00:00"));
        }
    }
}
