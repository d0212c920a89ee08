//! The performed part of a plan, in the text form `3,7,10-14`.

use super::planned_action::PLAN_LENGTH;
use std::fmt;
use std::str::FromStr;

/// The actions of a plan that are performed: all, or those at these positions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlanSubset(pub Option<Vec<usize>>);

impl fmt::Display for PlanSubset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(places) = &self.0 else { return f.write_str("all") };
        if places.is_empty() {
            return f.write_str("none");
        }
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for place in places {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == *place => *last = *place,
                Some(_) | None => runs.push((*place, *place)),
            }
        }
        let shown: Vec<String> = runs
            .iter()
            .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
            .collect();
        f.write_str(&shown.join(","))
    }
}

impl FromStr for PlanSubset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} names no deeds: write places in the plan, 0 to {}, as in 3,7,10-14, or all, or none",
                PLAN_LENGTH - 1
            )
        };
        match text {
            "all" => return Ok(PlanSubset(None)),
            "none" => return Ok(PlanSubset(Some(Vec::new()))),
            _ => {}
        }
        let mut places = Vec::new();
        for run in text.split(',') {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            let number =
                |text: &str| text.trim().parse::<usize>().ok().filter(|number| *number < PLAN_LENGTH);
            let (first, last) = number(first).zip(number(last)).ok_or_else(wrong)?;
            places.extend(first..=last);
        }
        if places.is_empty() || !places.is_sorted_by(|a, b| a < b) {
            return Err(wrong());
        }
        Ok(PlanSubset(Some(places)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_subset_survives_a_round_trip() {
        for (text, places) in [
            ("all", None),
            ("none", Some(vec![])),
            ("3", Some(vec![3])),
            ("0-2,5,7-8", Some(vec![0, 1, 2, 5, 7, 8])),
        ] {
            assert_eq!(text.parse(), Ok(PlanSubset(places.clone())));
            assert_eq!(PlanSubset(places).to_string(), text);
        }
        for wrong in ["", "x", "3,", "5,3", "3,3", "4-2", "-1", &PLAN_LENGTH.to_string(), "99999999"] {
            assert!(wrong.parse::<PlanSubset>().is_err(), "{wrong:?}");
        }
    }
}
