//! A strict reader of Prometheus text 0.0.4, which shares nothing with what writes it.

use std::collections::{BTreeMap, BTreeSet};

pub(crate) type Labels = BTreeMap<String, String>;
pub(crate) type Series = (String, Labels);

/// A page of metrics.
#[derive(Default)]
pub(crate) struct Page {
    /// Type by family.
    pub(crate) kinds: BTreeMap<String, String>,
    pub(crate) values: BTreeMap<Series, f64>,
}

impl Page {
    /// Panics at whatever the format does not allow.
    pub(crate) fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let (mut helped, mut family) = (BTreeSet::new(), String::new());
        assert!(text.ends_with('\n'), "the last line must end");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a help text");
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "HELP twice: {name}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert!(helped.contains(name), "TYPE without HELP: {name}");
                let before = page.kinds.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "{name} is not in one piece");
                name.clone_into(&mut family);
            } else {
                let ((name, labels), value) = sample(line);
                let suffix = name.strip_prefix(&family).unwrap_or("of another family");
                let allowed: &[&str] = match page.kinds.get(&family).map(String::as_str) {
                    Some("histogram") => &["_bucket", "_sum", "_count"],
                    Some("counter" | "gauge") => &[""],
                    other => panic!("type {other:?} before {line}"),
                };
                assert!(allowed.contains(&suffix), "{name} among {family}");
                let before = page.values.insert((name, labels), value);
                assert!(before.is_none(), "duplicate series: {line}");
            }
        }
        assert!(page.kinds.keys().eq(helped.iter()), "each family has HELP and TYPE");
        page
    }

    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        self.values.get(&(name.into(), labels)).copied().unwrap_or(0.0)
    }

    /// The sum of a family's series that have this label value.
    pub(crate) fn sum(&self, name: &str, label: &str, value: &str) -> f64 {
        let wanted = |((series, labels), _): &(&Series, &f64)| {
            series == name && labels.get(label).is_some_and(|found| found == value)
        };
        self.values.iter().filter(wanted).map(|(_, value)| value).sum()
    }

    /// Counters, and all of a histogram: what may never fall.
    pub(crate) fn rising(&self) -> impl Iterator<Item = (&Series, f64)> {
        let gauge = |name: &String| self.kinds.get(name).is_some_and(|kind| kind == "gauge");
        self.values.iter().filter(move |((name, _), _)| !gauge(name)).map(|(s, v)| (s, *v))
    }
}

/// `name{label="value",…} number`. No value of ours needs escaping, so a backslash is a mistake.
fn sample(line: &str) -> (Series, f64) {
    let word = |text: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        assert!(!text.is_empty() && text.chars().all(fits), "{text:?} in {line}");
        text.to_owned()
    };
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, inside) = series.split_once('{').expect("labels");
    let inside = inside.strip_suffix('}').expect("the end of the labels");
    let mut labels = Labels::new();
    for pair in inside.split(',') {
        let (label, value) = pair.split_once('=').expect("a label");
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).expect("quotes");
        assert!(!value.contains(['"', '\\']), "{line}");
        assert!(labels.insert(word(label), value.to_owned()).is_none(), "{label} twice: {line}");
    }
    ((word(name), labels), value.parse().expect("a number"))
}
