//! What one target came to on one mesh.

use serde_json::{Value, json};

use super::{Series, Target};
use crate::lab::{GroundKind, Site};

/// How often something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// What.
    pub name: String,
    /// How often.
    pub value: u64,
    /// It may not happen more often; a quick check demands that, too.
    pub most: Option<u64>,
}

impl Count {
    /// Without a limit.
    pub fn of(name: &str, value: usize) -> Self {
        Self { name: name.to_owned(), value: value as u64, most: None }
    }

    /// With a limit.
    pub fn at_most(name: &str, value: usize, most: u64) -> Self {
        Self { most: Some(most), ..Self::of(name, value) }
    }

    fn miss(&self) -> Option<String> {
        let most = self.most.filter(|most| self.value > *most)?;
        Some(format!("{}: {}, above {most}", self.name, self.value))
    }
}

/// What one target came to on one mesh.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Which.
    pub target: Target,
    /// Nodes of the mesh.
    pub nodes: usize,
    /// What it stood on.
    pub ground: GroundKind,
    /// Numbers.
    pub series: Vec<Series>,
    /// Counts.
    pub counts: Vec<Count>,
    /// What one has to know to read them, for people.
    pub notes: Vec<String>,
}

impl Measured {
    /// Nothing yet.
    pub(super) fn on(site: &Site, target: u8) -> Self {
        let (nodes, ground) = (site.nodes(), site.options().ground);
        let (series, counts, notes) = Default::default();
        Self { target: Target(target), nodes, ground, series, counts, notes }
    }

    /// What does not hold, for people; a quick check demands only what noise cannot fake.
    pub fn misses(&self, quick: bool) -> Vec<String> {
        let of_series = self.series.iter().flat_map(|series| series.misses(quick));
        of_series.chain(self.counts.iter().filter_map(Count::miss)).collect()
    }

    /// As `rocoin.lab/1` has it.
    pub fn to_json(&self) -> Value {
        let counts = self.counts.iter().map(|c| json!({ "name": c.name, "value": c.value, "at_most": c.most }));
        json!({
            "target": self.target,
            "what": self.target.what(),
            "nodes": self.nodes,
            "ground": self.ground,
            "series": self.series.iter().map(Series::to_json).collect::<Vec<_>>(),
            "counts": counts.collect::<Vec<_>>(),
            "notes": self.notes,
            "misses": self.misses(false),
        })
    }
}
