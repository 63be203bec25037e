//! Keeping the levels true, and finding the way round that an edge would close.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::base::ids::PageId;
use crate::base::spread::Spread;
use crate::graph::edge::Edge;
use crate::graph::network::{Network, Slot};

impl Network {
    /// The way round that the edges of a page would close: the page, what follows from it, and so on up to one of its new
    /// inputs, and the page again. Looks at nothing but what lies between the page's level and its inputs'.
    pub(super) fn way_round(&self, page: PageId, edges: &[Edge]) -> Option<Vec<PageId>> {
        if edges.iter().any(|edge| edge.page == page) {
            return Some(vec![page, page]);
        }
        let slot = self.slot(page)?;
        self.followers(slot).next()?;
        let level = self.level(slot);
        // Backwards from the inputs: where each node was met from.
        let mut met: HashMap<Slot, Slot, Spread> = HashMap::default();
        let mut stack = Vec::new();
        let starts = edges.iter().filter_map(|edge| self.slot(edge.page));
        for input in starts.filter(|&input| self.level(input) > level) {
            if met.insert(input, input).is_none() {
                stack.push(input);
            }
            while let Some(at) = stack.pop() {
                for (below, _) in self.inputs(at) {
                    if below == slot {
                        return Some(self.path(slot, at, &met));
                    }
                    if self.level(below) > level && !met.contains_key(&below) {
                        met.insert(below, at);
                        stack.push(below);
                    }
                }
            }
        }
        None
    }

    /// The page, the nodes from `first` to where the search began, and the page again.
    fn path(&self, slot: Slot, first: Slot, met: &HashMap<Slot, Slot, Spread>) -> Vec<PageId> {
        let mut path = vec![self.page(slot), self.page(first)];
        let mut at = first;
        while met[&at] != at {
            at = met[&at];
            path.push(self.page(at));
        }
        path.push(self.page(slot));
        path
    }

    /// Makes the level of a node true whose inputs are others now, and those of all that this changes, from the lowest up.
    pub(super) fn settle_level(&mut self, slot: Slot) {
        let mut left = BinaryHeap::from([Reverse((self.level(slot), slot))]);
        while let Some(Reverse((_, at))) = left.pop() {
            let level = self.inputs(at).map(|(input, _)| self.level(input) + 1).max().unwrap_or(0);
            if level == self.level(at) {
                continue;
            }
            self.set_level(at, level);
            left.extend(self.followers(at).map(|(next, _)| Reverse((self.level(next), next))));
        }
    }

    /// The graph in which these pages follow from those, in any order.
    ///
    /// # Errors
    /// Where some page follows from itself: the pages that are left when all others have been taken in.
    pub fn of(rules: impl IntoIterator<Item = (PageId, Vec<Edge>)>) -> Result<Self, Vec<PageId>> {
        let mut waiting: HashMap<PageId, (Vec<Edge>, usize), Spread> = HashMap::default();
        let mut order = Vec::new();
        for (page, edges) in rules {
            order.push(page);
            waiting.insert(page, (edges, 0));
        }
        let mut followers: HashMap<PageId, Vec<PageId>, Spread> = HashMap::default();
        let mut ready = Vec::new();
        for page in &order {
            let ruled = |edge: &&Edge| waiting.contains_key(&edge.page);
            let inputs: Vec<PageId> = waiting[page].0.iter().filter(ruled).map(|edge| edge.page).collect();
            if inputs.is_empty() {
                ready.push(*page);
            }
            if let Some((_, count)) = waiting.get_mut(page) {
                *count = inputs.len();
            }
            inputs.into_iter().for_each(|input| followers.entry(input).or_default().push(*page));
        }
        let mut network = Self::default();
        while let Some(page) = ready.pop() {
            let Some((edges, _)) = waiting.remove(&page) else { continue };
            // Its inputs are all there, and nothing follows from it yet.
            if network.set(page, &edges).is_err() {
                return Err(vec![page]);
            }
            for next in followers.remove(&page).unwrap_or_default() {
                if let Some((_, count)) = waiting.get_mut(&next) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(next);
                    }
                }
            }
        }
        if waiting.is_empty() { Ok(network) } else { Err(waiting.into_keys().collect()) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::graph::error::GraphError;
    use proptest::prelude::*;

    type Model = BTreeMap<u64, BTreeSet<u64>>;

    /// The levels by definition, or `None` where there is a cycle (Kahn, 1962).
    fn levels(model: &Model) -> Option<BTreeMap<u64, u32>> {
        let all: BTreeSet<u64> =
            model.iter().flat_map(|(page, inputs)| inputs.iter().copied().chain([*page])).collect();
        let mut known: BTreeMap<u64, u32> = BTreeMap::new();
        while known.len() < all.len() {
            let inputs = |page: &u64| model.get(page).cloned().unwrap_or_default();
            let next = all.iter().find(|page| {
                !known.contains_key(page) && inputs(page).iter().all(|input| known.contains_key(input))
            })?;
            let level = inputs(next).iter().map(|input| known[input] + 1).max().unwrap_or(0);
            known.insert(*next, level);
        }
        Some(known)
    }

    fn edges(inputs: &BTreeSet<u64>) -> Vec<Edge> {
        inputs.iter().map(|&page| Edge::data(PageId(page))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
        #[test]
        fn levels_and_cycles_are_those_of_a_search_of_everything(
            steps in prop::collection::vec((1u64..14, prop::collection::btree_set(1u64..14, 0..4), prop::bool::weighted(0.15)), 1..40),
        ) {
            let (mut network, mut model) = (Network::default(), Model::new());
            for (page, inputs, gone) in steps {
                if gone {
                    let follower = model.iter().find(|(_, inputs)| inputs.contains(&page));
                    let done = network.remove(PageId(page));
                    prop_assert_eq!(done.is_err(), follower.is_some());
                    if done.is_ok() {
                        model.remove(&page);
                    }
                } else {
                    let mut next = model.clone();
                    next.insert(page, inputs.clone());
                    match network.set(PageId(page), &edges(&inputs)) {
                        Ok(()) => {
                            prop_assert!(levels(&next).is_some());
                            model = next;
                        }
                        Err(GraphError::Cycle { path }) => {
                            prop_assert!(levels(&next).is_none());
                            prop_assert!(path.len() >= 2 && path[0].0 == page && path.last() == path.first());
                            for two in path.windows(2) {
                                prop_assert!(next[&two[1].0].contains(&two[0].0), "{} does not follow from {}", two[1], two[0]);
                            }
                        }
                        Err(error) => prop_assert!(false, "{error}"),
                    }
                }
                model.retain(|_, inputs| !inputs.is_empty());
                let wanted = levels(&model).expect("no cycle");
                prop_assert_eq!(network.len(), wanted.len());
                prop_assert_eq!(network.edges(), model.values().map(BTreeSet::len).sum::<usize>());
                for (page, level) in &wanted {
                    let slot = network.slot(PageId(*page)).expect("a node");
                    prop_assert_eq!(network.level(slot), *level, "page {}", page);
                }
            }
            let rules = model.iter().map(|(page, inputs)| (PageId(*page), edges(inputs)));
            let again = Network::of(rules).expect("no cycle");
            prop_assert_eq!(again.len(), network.len());
            for slot in again.nodes() {
                let there = network.slot(again.page(slot)).expect("a node");
                prop_assert_eq!(again.level(slot), network.level(there));
                let pages = |network: &Network, slot| network.inputs(slot).map(|(input, kind)| (network.page(input), kind)).collect::<Vec<_>>();
                prop_assert_eq!(pages(&again, slot), pages(&network, there));
            }
        }
    }

    #[test]
    fn a_long_chain_neither_recurses_nor_searches() {
        const LONG: u64 = 100_000;
        let mut network = Network::default();
        for page in 1..=LONG {
            network.set(PageId(page + 1), &[Edge::data(PageId(page))]).expect("no cycle");
        }
        let last = network.slot(PageId(LONG + 1)).expect("a node");
        assert_eq!(u64::from(network.level(last)), LONG);
        let Err(GraphError::Cycle { path }) = network.set(PageId(2), &[Edge::data(PageId(LONG))]) else {
            panic!("a cycle was taken");
        };
        assert_eq!(path.len() as u64, LONG);
        network.set(PageId(2), &[]).expect("no cycle");
        assert_eq!(u64::from(network.level(last)), LONG - 1);
    }
}
