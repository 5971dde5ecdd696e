use std::time::Duration;

use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(1_700_000_000);

fn read(lines: &[(&str, &str)]) -> Report {
    read_as(ResetReading::Guess, lines)
}

fn read_as(reset: ResetReading, lines: &[(&str, &str)]) -> Report {
    let mut reader = Reader::new(reset, NOW);
    for (name, value) in lines {
        reader.field(name, value.as_bytes());
    }
    reader.finish()
}

fn secs(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

fn decision(allowed: bool, remaining: u64, reset: Duration, retry: Option<Duration>) -> Decision {
    Decision { allowed, limit: 100, remaining, reset_after: reset, retry_after: retry }
}

fn burst() -> QuotaPolicy {
    QuotaPolicy::new("burst").unwrap().window(Duration::from_secs(60))
}

#[test]
fn an_allowed_answer_looks_as_the_draft_has_it() {
    let fields = Fields::of(&decision(true, 45, Duration::from_millis(29_500), None));
    let lines: Vec<_> = fields.lines(&burst(), ResetStyle::Epoch, NOW).collect();
    let expected = [
        (X_LIMIT, "100"),
        (X_REMAINING, "45"),
        (X_RESET, "1700000030"),
        (POLICY, "\"burst\";q=100;w=60"),
        (RATE_LIMIT, "\"burst\";r=45;t=30"),
    ];
    assert_eq!(lines, expected.map(|(name, value)| (name, value.to_owned())));
    assert_eq!(fields.reset(ResetStyle::Delta, NOW), 30);
    let half_past = NOW + Duration::from_millis(500);
    assert_eq!(fields.reset(ResetStyle::Epoch, half_past), 1_700_000_031, "never early");
}

#[test]
fn a_refusal_names_one_point_in_time_in_all_of_its_fields() {
    let wait = Some(Duration::from_millis(29_001));
    let fields = Fields::of(&decision(false, 0, Duration::from_secs(3000), wait));
    assert_eq!(fields.retry_after, Some(30));
    assert_eq!(fields.reset(ResetStyle::Epoch, NOW), 1_700_000_030);
    assert_eq!(burst().standing(&fields), "\"burst\";r=0;t=30");
}

#[test]
fn no_refusal_says_come_back_at_once_and_one_that_is_final_says_nothing() {
    let soon = decision(false, 0, Duration::from_secs(9), Some(Duration::from_nanos(1)));
    assert_eq!(Fields::of(&soon).retry_after, Some(1));
    let now = decision(false, 0, Duration::from_secs(9), Some(Duration::ZERO));
    assert_eq!(Fields::of(&now).retry_after, Some(1));
    let never = decision(false, 7, Duration::from_secs(9), None);
    assert_eq!(Fields::of(&never).retry_after, None);
    assert_eq!(Fields::of(&never).reset_after, 9);
}

#[test]
fn a_policys_name_is_checked_and_escaped() {
    assert_eq!(
        QuotaPolicy::new(r#"a"b\"#).unwrap().describe(u64::MAX),
        r#""a\"b\\";q=999999999999999"#
    );
    let split = "a\r\nSet-Cookie: x";
    for bad in ["", "zürich", split, &"x".repeat(65)] {
        assert_eq!(QuotaPolicy::new(bad).unwrap_err().as_slice().len(), 1, "{bad}");
    }
    assert_eq!(burst().window(Duration::from_millis(1)).describe(5), "\"burst\";q=5;w=1");
}

#[test]
fn a_policy_is_over_what_its_limiter_is_over() {
    let describe = |config: Config| QuotaPolicy::of("a", &config).unwrap().describe(7);
    let hour = Duration::from_secs(3600);
    for config in [
        Config::fixed_window(7, hour),
        Config::sliding_log(7, hour),
        Config::sliding_window(7, hour),
    ] {
        assert_eq!(describe(config.unwrap()), "\"a\";q=7;w=3600");
    }
    for config in [Config::token_bucket(7, 2.0), Config::leaky_bucket(7, 2.0)] {
        assert_eq!(describe(config.unwrap()), "\"a\";q=7;w=4");
    }
    assert_eq!(
        describe(Config::token_bucket(u64::MAX >> 1, 1e-7).unwrap()),
        "\"a\";q=7;w=31622400000"
    );
    assert!(QuotaPolicy::of("", &Config::default()).is_err());
}

#[test]
fn the_common_headers_are_read_with_either_kind_of_reset() {
    let with = |reset| {
        [("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "56"), ("x-ratelimit-reset", reset)]
    };
    for (reset, after) in [
        ("2513", Duration::from_secs(2513)),
        ("1700002513", Duration::from_secs(2513)),
        ("1700002513.5", Duration::from_millis(2_513_500)),
        ("1700002513500", Duration::from_millis(2_513_500)),
        ("1700002513500000", Duration::from_millis(2_513_500)),
        ("1700002513500000000", Duration::from_millis(2_513_500)),
        ("0.25", Duration::from_millis(250)),
        ("1600000000", Duration::ZERO),
    ] {
        let report = read(&with(reset));
        assert_eq!((report.limit, report.remaining), (Some(60), Some(56)));
        assert_eq!(report.reset_after, Some(after), "{reset}");
    }
    let small_epoch = read_as(ResetReading::Epoch, &with("1000"));
    assert_eq!(small_epoch.reset_after, Some(Duration::ZERO), "told that it is a point in time");
    let large_delta = read_as(ResetReading::Delta, &with("1700002513"));
    assert_eq!(large_delta.reset_after, secs(1_700_002_513));
}

#[test]
fn the_drafts_fields_are_read_back_to_the_first() {
    let eleven =
        [("ratelimit-policy", "\"burst\";q=100;w=60"), ("ratelimit", "\"burst\";r=50;t=30")];
    let token = [("ratelimit-policy", "burst;q=100;w=60"), ("ratelimit", "burst;r=50;t=30")];
    let seven =
        [("ratelimit-policy", "100;w=60"), ("ratelimit", "limit=100, remaining=50, reset=30")];
    let expected = Report {
        limit: Some(100),
        remaining: Some(50),
        reset_after: secs(30),
        window: secs(60),
        retry_after: None,
    };
    for draft in [eleven, token, seven] {
        assert_eq!(read(&draft), expected, "{draft:?}");
    }
    let three = [
        ("ratelimit-limit", "100, 100;w=60, 5000;w=3600"),
        ("ratelimit-remaining", "50"),
        ("ratelimit-reset", "30"),
    ];
    assert_eq!(read(&three), Report { window: None, ..expected });
}

#[test]
fn of_several_policies_the_one_that_binds_is_reported() {
    let policies = ("ratelimit-policy", r#""permin";q=50;w=60, "perhr";q=1000;w=3600"#);
    let hour = read(&[policies, ("ratelimit", r#""permin";r=40;t=20,"perhr";r=3;t=1800"#)]);
    assert_eq!((hour.limit, hour.remaining), (Some(1000), Some(3)));
    let minute =
        [policies, ("ratelimit", r#""perhr";r=900;t=1800"#), ("ratelimit", "\"permin\";r=0;t=9")];
    assert_eq!((read(&minute).limit, read(&minute).remaining), (Some(50), Some(0)));
    let both_out = read(&[("ratelimit", "\"a\";r=0;t=9,\"b\";r=0;t=90,\"c\";r=0;t=30")]);
    assert_eq!(both_out.reset_after, secs(90));
    let beside_x = [("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "60"), minute[1]];
    assert_eq!(read(&beside_x).remaining, Some(1));
}

#[test]
fn of_several_limits_of_one_name_the_tightest_is_reported_with_its_own_policy() {
    let hour = [("ratelimit-policy", "\"a\";q=100;w=60"), ("ratelimit", "\"a\";r=90;t=60")];
    let second = [("ratelimit-policy", "\"a\";q=3;w=1"), ("ratelimit", "\"a\";r=0;t=1")];
    let tightest = Report {
        limit: Some(3),
        remaining: Some(0),
        reset_after: secs(1),
        window: secs(1),
        retry_after: None,
    };
    for nested in [[hour, second], [second, hour]] {
        assert_eq!(read(&nested.concat()), tightest, "{nested:?}");
    }
    // One of the policies has got lost on the way: which of the others is meant nobody can say.
    let third = [("ratelimit-policy", "\"a\";q=7;w=1")];
    let unclear = read(&[&hour[..], &second, &third].concat());
    assert_eq!(unclear, Report { limit: None, window: None, ..tightest });
    // Two partitions of one policy.
    let partitions = [hour[0], ("ratelimit", "\"a\";r=9;t=9;pk=:aa==:, \"a\";r=2;t=9;pk=:bb==:")];
    assert_eq!((read(&partitions).limit, read(&partitions).remaining), (Some(100), Some(2)));
    let bytes = ("ratelimit-policy", "\"a\";q=9;qu=\"content-bytes\"");
    let beside = [hour[0], bytes, hour[1], ("ratelimit", "\"a\";r=0;t=1")];
    assert_eq!(read(&beside).remaining, Some(90), "bytes are not requests");
}

#[test]
fn unknown_parameters_are_skipped_and_bytes_are_not_requests() {
    let odd = r#""a";acme-x="1,2;r=0";r=5;t=9;pk=:cHsdsRa894==:;flag;when=@1700000000;f=1.5;b=?0"#;
    assert_eq!(read(&[("ratelimit", odd)]).remaining, Some(5));
    let bytes = [
        ("ratelimit-policy", r#""b";q=65535;qu="content-bytes";w=10,"r";q=9"#),
        ("ratelimit", r#""b";r=0;t=9, "r";r=8;t=9"#),
    ];
    assert_eq!((read(&bytes).limit, read(&bytes).remaining), (Some(9), Some(8)));
    assert_eq!(read(&[("ratelimit", "\"a\";r=1;r=2")]).remaining, Some(2), "the last one counts");
}

#[test]
fn malformed_fields_are_ignored_whole() {
    for bad in [
        "\"a\";r=5,",
        "\"a\";r=5;",
        "\"a;r=5",
        "\"a\";r",
        "\"a\";r=-1",
        "\"a\";r=1234567890123456",
        "(\"a\");r=5",
        "\"a\";R=5",
        "\"a\"r=5",
        "\"a\";r=5 x",
        ",",
        "\"\\n\";r=5",
        "é;r=5",
        "\"a\";r=5;x=:é:",
    ] {
        assert_eq!(read(&[("ratelimit", bad)]).remaining, None, "{bad}");
    }
    for bad in ["", "x", "-1", "1 2", "1e3", "+5", "0x10", "1.", ".5", "1.2.3"] {
        let report = read(&[
            ("x-ratelimit-remaining", bad),
            ("x-ratelimit-reset", bad),
            ("retry-after", bad),
        ]);
        assert!(report.is_empty(), "{bad}");
    }
    let good_beside_bad = read(&[("ratelimit", "\"a\";r=5"), ("ratelimit", "\"b\";r=1,")]);
    assert_eq!(good_beside_bad.remaining, Some(5));
}

#[test]
fn a_field_that_comes_twice_only_makes_things_tighter() {
    let twice = [
        ("x-ratelimit-remaining", "5"),
        ("x-ratelimit-remaining", "50"),
        ("x-ratelimit-reset", "10"),
        ("x-ratelimit-reset", "2"),
        ("retry-after", "3"),
        ("retry-after", "1"),
    ];
    let report = read(&twice);
    assert_eq!((report.remaining, report.reset_after), (Some(5), secs(10)));
    assert_eq!(report.retry_after, secs(3));
}

#[test]
fn no_report_is_too_absurd_to_be_compared() {
    let all =
        Report { remaining: Some(u64::MAX), reset_after: Some(Duration::MAX), ..Report::default() };
    let none = Report { remaining: Some(0), ..all };
    assert!(none.is_tighter(&all) && !all.is_tighter(&none) && !all.is_tighter(&all));
    assert!(!all.is_tighter(&Report::default()) || !Report::default().is_tighter(&all));
}

#[test]
fn absurd_numbers_saturate_and_absurd_lists_end() {
    let nines = "9".repeat(400);
    let report = read(&[("x-ratelimit-limit", &nines), ("retry-after", &nines)]);
    assert_eq!((report.limit, report.retry_after), (Some(u64::MAX), secs(MAX_SECONDS)));
    for reading in [ResetReading::Guess, ResetReading::Epoch, ResetReading::Delta] {
        let reset = read_as(reading, &[("x-ratelimit-reset", &nines)]).reset_after.unwrap();
        assert!(reset > Duration::from_secs(3600), "{reading:?}: {reset:?}");
    }
    let fifteen = [
        ("ratelimit", "\"a\";r=1;t=999999999999999"),
        ("ratelimit-policy", "\"a\";w=999999999999999"),
    ];
    let report = read(&fifteen);
    assert_eq!((report.reset_after, report.window), (secs(MAX_SECONDS), secs(MAX_SECONDS)));
    for late in ["99999999999", "99999999999999", "99999999999999999"] {
        let reset = read(&[("x-ratelimit-reset", late)]).reset_after;
        assert_eq!(reset, secs(MAX_SECONDS), "{late}");
    }
    let many = vec!["\"a\";r=9;t=1"; MAX_MEMBERS].join(",") + ",\"z\";r=0;t=1";
    assert_eq!(read(&[("ratelimit", &many)]).remaining, Some(9));
    assert_eq!(read(&[("ratelimit", &"x".repeat(MAX_FIELD_BYTES + 1))]), Report::default());
}

const NAMES: [&str; 12] = [
    X_LIMIT,
    X_REMAINING,
    X_RESET,
    POLICY,
    RATE_LIMIT,
    RETRY_AFTER,
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-rate-limit-reset",
    "x-ratelimit-reset-after",
    "x-",
];

/// Bytes that come close to a field, and bytes that do not.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let near = "[\"a-z0-9;=, :?@.*()\\\\-]{0,60}".prop_map(String::into_bytes);
    let numbers = "\"a\";[rqtw]=[0-9]{1,16}(;[rqtw]=[0-9]{1,16}){0,2}|[0-9]{1,20}"
        .prop_map(String::into_bytes);
    prop_oneof![near, numbers, prop::collection::vec(any::<u8>(), 0..60), Just(vec![b'9'; 5000])]
}

proptest! {
    #[test]
    fn no_bytes_panic_and_no_time_is_beyond_bounds(
        lines in prop::collection::vec((prop::sample::select(&NAMES[..]), value()), 0..8),
        now in any::<u64>(),
        reading in prop::sample::select(vec![ResetReading::Guess, ResetReading::Epoch, ResetReading::Delta]),
    ) {
        let mut reader = Reader::new(reading, Duration::from_secs(now));
        for (name, value) in &lines {
            reader.field(name, value);
        }
        let report = reader.finish();
        let longest = Duration::from_secs(MAX_SECONDS.saturating_add(1));
        for time in [report.reset_after, report.window, report.retry_after].into_iter().flatten() {
            prop_assert!(time <= longest, "{report:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        name in "[ -~]{1,64}",
        limit in 0_u64..1_000_000_000_000,
        remaining in 0_u64..1_000_000_000_000,
        reset in 0_u64..100_000_000_000_000_000,
        retry in prop::option::of(1_u64..100_000_000_000_000_000),
        window in 1_u64..1_000_000,
        style in prop::sample::select(vec![ResetStyle::Epoch, ResetStyle::Delta]),
        family in 0..2,
    ) {
        let decision = Decision {
            allowed: retry.is_none(),
            limit,
            remaining,
            reset_after: Duration::from_nanos(reset),
            retry_after: retry.map(Duration::from_nanos),
        };
        let policy = QuotaPolicy::new(name).unwrap().window(Duration::from_secs(window));
        let fields = Fields::of(&decision);
        let lines: Vec<_> = fields.lines(&policy, style, NOW).collect();
        let mut reader = Reader::new(ResetReading::Guess, NOW);
        for (name, value) in &lines {
            let is_x = name.starts_with("x-");
            if *name == RETRY_AFTER || (family == 0) == is_x {
                reader.field(name, value.as_bytes());
            }
        }
        let report = reader.finish();
        prop_assert_eq!(report.limit, Some(limit));
        prop_assert_eq!(report.remaining, Some(remaining));
        let expected = retry.map_or(decision.reset_after, Duration::from_nanos);
        let told = report.reset_after.unwrap();
        prop_assert!(told >= expected && told <= expected.max(Duration::from_nanos(1)) + Duration::from_secs(1));
        prop_assert_eq!(report.retry_after.is_some(), retry.is_some());
        if let (Some(told), Some(retry)) = (report.retry_after, retry) {
            prop_assert!(told >= Duration::from_nanos(retry), "honest");
            prop_assert_eq!(Some(told), report.reset_after, "not before the end of t");
        }
        if family == 1 {
            prop_assert_eq!(report.window, Some(Duration::from_secs(window)));
        }
    }
}
