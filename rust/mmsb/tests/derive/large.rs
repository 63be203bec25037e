//! Long chains and large graphs of a whole bus: nothing recurses, and what runs is what follows from the change. As many
//! pages as `MMSB_PAGES` says; a hundred thousand and a million are for optimised builds.

use std::collections::BTreeSet;

use crate::common;
use crate::common::{Sum, cells, derived, memory, source, write};
use mmsb::base::ids::PageId;
use mmsb::base::limits::LINEAGE_PARTS;
use mmsb::bus::error::Error;
use mmsb::bus::options::Note;
use mmsb::bus::transaction::Isolation;

fn pages() -> usize {
    std::env::var("MMSB_PAGES").map_or(3000, |pages| pages.parse().unwrap())
}

#[test]
fn a_chain_is_followed_to_its_end_and_closed_by_nobody() {
    let (bus, count, program) = (memory(), pages(), Sum::plus(1));
    let first = source(&bus, "source");
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    let mut chain = vec![first];
    for number in 0..count {
        let last = chain[number];
        chain.push(tx.derive(&number.to_string(), derived(&[last], &program)).unwrap());
    }
    tx.commit().unwrap();
    let (second, last) = (chain[1], chain[count]);
    assert_eq!((program.runs(), cells(&bus, last)[0]), (count as u64, count as i64));
    write(&bus, first, 0, 5).unwrap();
    assert_eq!((program.runs(), cells(&bus, last)[0]), (2 * count as u64, 5 + count as i64));
    let digest = bus.state().unwrap().digest().unwrap();
    let closed = bus.rewire(second, derived(&[last], &program), &Note::default()).unwrap_err();
    let Error::Cycle(path) = closed else { panic!("{closed}") };
    assert_eq!(path.len(), count + 1, "all the way round");
    assert_eq!(bus.state().unwrap().digest().unwrap(), digest);
    // A page under the chain raises the level of all.
    let below = bus.derive("below", derived(&[first], &program), &Note::default()).unwrap();
    bus.rewire(second, derived(&[below], &program), &Note::default()).unwrap();
    write(&bus, first, 0, 7).unwrap();
    assert_eq!(cells(&bus, last)[0], 8 + count as i64);
    // The frames that declared and made them all are gone over once, not once for each page.
    let lineage = bus.provenance(last, None, None).unwrap();
    assert_eq!(
        lineage.len(),
        (count + 2).min(LINEAGE_PARTS),
        "each page of the chain, its new start and the source"
    );
    assert_eq!((lineage[0].page, lineage[0].commits[0].0.epoch), (last, bus.epoch().unwrap()));
    let digest = bus.state().unwrap().digest().unwrap();
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, digest);
    bus.audit().unwrap();
}

#[test]
fn of_a_large_graph_just_what_follows_runs() {
    let (bus, count, program) = (memory(), pages(), Sum::plus(0));
    let mut random = 7u64;
    let mut below = |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % limit
    };
    const SOURCES: usize = 40;
    let mut all: Vec<PageId> = (0..SOURCES).map(|number| source(&bus, &format!("s{number}"))).collect();
    let mut inputs: Vec<Vec<usize>> = vec![Vec::new(); SOURCES];
    let mut tx = bus.begin(Isolation::Snapshot, Note::default()).unwrap();
    for number in 0..count {
        // Near ones mostly, so that the graph is deep.
        let near = |below: &mut dyn FnMut(usize) -> usize, there: usize| there - 1 - below(there.min(200));
        let there = all.len();
        let own: BTreeSet<usize> = (0..3).map(|_| near(&mut below, there)).collect();
        let of: Vec<PageId> = own.iter().map(|input| all[*input]).collect();
        all.push(tx.derive(&number.to_string(), derived(&of, &program)).unwrap());
        inputs.push(own.into_iter().collect());
    }
    tx.commit().unwrap();
    let mut values = vec![0i64; all.len()];
    for step in 0..4 {
        let (changed, runs) = (below(SOURCES), program.runs());
        let mut dirty = vec![false; all.len()];
        (dirty[changed], values[changed]) = (true, step + 1);
        let mut followed = 0;
        for node in SOURCES..all.len() {
            if inputs[node].iter().any(|input| dirty[*input]) {
                followed += 1;
                let sum = inputs[node].iter().fold(0, |sum, input| (sum + values[*input]) % common::PRIME);
                dirty[node] = sum != values[node];
                values[node] = sum;
            }
        }
        write(&bus, all[changed], 0, step + 1).unwrap();
        assert_eq!(program.runs() - runs, followed, "each that follows from a page that changed, once");
        for node in (0..all.len()).step_by(97) {
            assert_eq!(cells(&bus, all[node])[0], values[node], "page {node}");
        }
    }
    let digest = bus.state().unwrap().digest().unwrap();
    assert_eq!(bus.replay_digest(true).unwrap()[0].digest, digest);
}
