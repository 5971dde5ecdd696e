//! A strict little parser of Prometheus text 0.0.4, written from the format's description and sharing
//! nothing with what renders it.

use std::collections::{BTreeMap, BTreeSet};

pub(super) type Labels = BTreeMap<String, String>;

#[derive(Debug)]
pub(super) struct Family {
    pub(super) kind: String,
    pub(super) help: String,
    pub(super) series: Vec<(String, Labels, f64)>,
}

#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) families: BTreeMap<String, Family>,
    pub(super) values: BTreeMap<(String, Labels), f64>,
}

impl Page {
    /// The value of a series, by name and labels.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        self.values.get(&(name.into(), labels)).copied()
    }

    /// Every value of a label.
    pub(super) fn label_values(&self, label: &str) -> BTreeSet<&str> {
        self.values.keys().filter_map(|(_, labels)| labels.get(label)).map(String::as_str).collect()
    }

    /// Every counter, and everything of a histogram.
    pub(super) fn rising(&self) -> impl Iterator<Item = (&(String, Labels), f64)> {
        self.values
            .iter()
            .filter(|((name, _), _)| self.family_of(name).is_some_and(|f| f.kind != "gauge"))
            .map(|(key, value)| (key, *value))
    }

    fn family_of(&self, series: &str) -> Option<&Family> {
        let histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| self.families.get(series.strip_suffix(suffix)?));
        self.families.get(series).or(histogram)
    }

    /// Asserts that every breaker is in exactly one state.
    pub(super) fn assert_one_state_each(&self) {
        let mut sums: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
        for (_, labels, value) in
            self.families.get("seawall_breaker_state").into_iter().flat_map(|f| &f.series)
        {
            assert!(*value == 0.0 || *value == 1.0);
            let sum = sums.entry(&labels["dependency"]).or_default();
            *sum = (sum.0 + 1, sum.1 + value);
        }
        for (dependency, sum) in sums {
            assert_eq!(sum, (3, 1.0), "{dependency}");
        }
    }
}

pub(super) fn parse(text: &str) -> Page {
    let mut page = Page::default();
    let mut current: Option<String> = None;
    let mut help: Option<(String, String)> = None;
    assert!(text.is_empty() || text.ends_with('\n'), "the last line must end");
    for line in text.split_terminator('\n') {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, text) = rest.split_once(' ').expect("a help text");
            assert!(!page.families.contains_key(name), "{name} is not in one piece");
            assert!(help.replace((name.into(), text.into())).is_none(), "help without a type");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_name(name, true);
            let (helped, text) = help.take().expect("help before the type");
            assert_eq!(helped, name);
            let family = Family { kind: kind.into(), help: text, series: Vec::new() };
            assert!(page.families.insert(name.into(), family).is_none(), "{name} twice");
            current = Some(name.into());
        } else {
            let (name, labels, value) = sample(line);
            let family_name = current.as_deref().expect("a sample before any type");
            let family = page.families.get_mut(family_name).expect("the current family");
            let belongs = match &*family.kind {
                "histogram" => name
                    .strip_prefix(family_name)
                    .is_some_and(|rest| ["_bucket", "_sum", "_count"].contains(&rest)),
                _ => name == family_name,
            };
            assert!(belongs, "{name} among {family_name}");
            let before = page.values.insert((name.clone(), labels.clone()), value);
            assert!(before.is_none(), "duplicate series: {line}");
            family.series.push((name, labels, value));
        }
    }
    assert!(help.is_none(), "help without a type");
    page.families.iter().for_each(|(name, family)| check(name, family));
    page
}

fn check(name: &str, family: &Family) {
    assert!(!family.series.is_empty(), "{name} has no series");
    assert!(!family.help.is_empty());
    match &*family.kind {
        "counter" => {
            assert!(name.ends_with("_total"), "{name}");
            assert!(family.series.iter().all(|(_, _, v)| *v >= 0.0 && v.fract() == 0.0));
        }
        "histogram" => check_histogram(name, family),
        _ => assert!(!name.ends_with("_total"), "{name}"),
    }
}

fn check_histogram(name: &str, family: &Family) {
    #[derive(Default)]
    struct Histogram {
        buckets: Vec<(f64, f64)>,
        sum: Option<f64>,
        count: Option<f64>,
    }
    let mut histograms: BTreeMap<Labels, Histogram> = BTreeMap::new();
    for (series, labels, value) in &family.series {
        let mut labels = labels.clone();
        let le = labels.remove("le");
        let histogram = histograms.entry(labels).or_default();
        match (&series[name.len()..], le) {
            ("_bucket", Some(le)) => {
                histogram.buckets.push((le.parse().expect("a bound"), *value));
            }
            ("_sum", None) => histogram.sum = Some(*value),
            ("_count", None) => histogram.count = Some(*value),
            _ => panic!("{series}"),
        }
    }
    for (labels, histogram) in histograms {
        let (bounds, counts): (Vec<f64>, Vec<f64>) = histogram.buckets.into_iter().unzip();
        assert!(bounds.is_sorted_by(|a, b| a < b), "{labels:?}");
        assert!(counts.is_sorted(), "{labels:?}");
        assert_eq!(bounds.last(), Some(&f64::INFINITY));
        assert_eq!(counts.last().copied(), histogram.count, "{labels:?}");
        assert!(histogram.sum.expect("a sum") >= 0.0);
    }
}

fn assert_name(name: &str, colon: bool) {
    let ok = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
    assert!(name.chars().all(ok) && !name.is_empty(), "{name:?}");
    assert!(!name.starts_with(|c: char| c.is_ascii_digit()), "{name:?}");
}

fn sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).expect("a name that ends");
    let name = &line[..end];
    assert_name(name, true);
    let mut rest = &line[end..];
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").expect("a label");
            assert_name(label, false);
            let (value, after) = quoted(after);
            assert!(labels.insert(label.into(), value).is_none(), "{label} twice: {line}");
            match after.split_at(1) {
                (",", after) => rest = after,
                ("}", after) => {
                    rest = after;
                    break;
                }
                _ => panic!("{line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').expect("a space before the value");
    (name.into(), labels, value.parse().expect("a number"))
}

/// Up to the closing quote: what it means, and what follows it.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next().expect("an escaped character").1 {
                '\\' => '\\',
                '"' => '"',
                'n' => '\n',
                other => panic!("unknown escape \\{other}"),
            }),
            char => value.push(char),
        }
    }
    panic!("no closing quote: {text}");
}
