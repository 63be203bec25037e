//! The canonical trie against a sorted map: contents, order, shape, sharing, differences.

use std::collections::BTreeMap;

use mmsb::memory::addr::Addr;
use mmsb::memory::arena::Arena;
use mmsb::memory::machine::place::Place;
use mmsb::page::block::{self, Kind};
use mmsb::page::stage::{Scratch, Stage};
use mmsb::page::trie;
use proptest::prelude::*;

fn key_strategy() -> impl Strategy<Value = u64> {
    prop_oneof![0..40u64, (0..3u64, 0..20u64).prop_map(|(hi, lo)| hi << 32 | lo), any::<u64>()]
}

/// A leaf that carries its key and a value.
fn leaf(stage: &mut Stage<'_>, key: u64, value: u32) -> Addr {
    let at = stage.node(Kind::Schema, 32, key).unwrap();
    block::head_mut(stage.arena(), at).set_extra(value);
    at
}

fn contents(arena: &Arena, root: Addr) -> Vec<(u64, u32)> {
    trie::leaves(arena, root).map(|at| (block::head(arena, at).key, block::head(arena, at).extra())).collect()
}

#[derive(Debug, Clone)]
enum Op {
    Put(u64, u32),
    Remove(u64),
    Settle,
}

fn op_strategy() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (key_strategy(), any::<u32>()).prop_map(|(key, value)| Op::Put(key, value)),
        3 => key_strategy().prop_map(Op::Remove),
        1 => Just(Op::Settle),
    ]
}

proptest! {
    #[test]
    fn a_trie_is_a_sorted_map(ops in prop::collection::vec(op_strategy(), 1..200)) {
        let arena = Arena::new(Place::Memory, 1 << 30).unwrap();
        let (mut model, mut root, mut seq) = (BTreeMap::new(), Addr::default(), 1);
        let mut old: Option<(Addr, BTreeMap<u64, u32>)> = None;
        let mut stage = Stage::new(&arena, seq, Scratch::default());
        for op in ops {
            match op {
                Op::Put(key, value) => {
                    let new = leaf(&mut stage, key, value);
                    root = trie::put(&mut stage, root, new).unwrap();
                    model.insert(key, value);
                }
                Op::Remove(key) => {
                    root = trie::remove(&mut stage, root, key).unwrap();
                    model.remove(&key);
                }
                Op::Settle => {
                    // What was settled before is never given back here, so it must stay as it was.
                    if let Some((root, model)) = &old {
                        prop_assert_eq!(contents(&arena, *root), model.clone().into_iter().collect::<Vec<_>>());
                    }
                    let scratch = stage.settle(&mut Vec::new());
                    old = Some((root, model.clone()));
                    seq += 1;
                    stage = Stage::new(&arena, seq, scratch);
                }
            }
        }
        prop_assert_eq!(contents(&arena, root), model.clone().into_iter().collect::<Vec<_>>());
        for key in model.keys() {
            prop_assert_eq!(trie::get(&arena, root, *key).map(|at| block::head(&arena, at).extra()), model.get(key).copied());
        }
        prop_assert!(trie::depth(&arena, root) <= 11);
        if let Some((before, was)) = old {
            let mut seen = Vec::new();
            let key = |at: Addr| block::head(&arena, at).key;
            trie::diff(&arena, before, root, &mut |a, b| seen.push(a.or(b).map(key).unwrap()));
            let mut sorted = seen.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&seen, &sorted, "in the order of keys");
            for key in was.keys().chain(model.keys()) {
                if was.get(key) != model.get(key) {
                    prop_assert!(seen.contains(key), "{} differs", key);
                }
            }
        }
        stage.abort();
    }
}

#[test]
fn shape_depends_on_contents_alone() {
    let arena = Arena::new(Place::Memory, 1 << 30).unwrap();
    let keys: Vec<u64> = (0..500u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (i % 50)).collect();
    let build = |keys: &[u64], extra: &[u64]| {
        let mut stage = Stage::new(&arena, 7, Scratch::default());
        let mut root = Addr::default();
        for &key in keys.iter().chain(extra) {
            let new = leaf(&mut stage, key, 0);
            root = trie::put(&mut stage, root, new).unwrap();
        }
        for &key in extra {
            root = trie::remove(&mut stage, root, key).unwrap();
        }
        shape(&arena, root)
    };
    let reversed: Vec<u64> = keys.iter().rev().copied().collect();
    let extra: Vec<u64> = (1..99u64).map(|i| i << 50 | 12345).filter(|key| !keys.contains(key)).collect();
    assert_eq!(build(&keys, &[]), build(&reversed, &extra));
}

fn shape(arena: &Arena, at: Addr) -> String {
    let header = block::head(arena, at);
    if block::is_leaf(at) {
        return format!("{}", header.key);
    }
    let mut text = format!("({}:{}", header.shift, header.key);
    block::for_children(arena, at, |_, _, _| {});
    for &slot in &block::words(arena, at, block::HEADER, 1 + usize::from(header.slots))[1..] {
        text += " ";
        text += &shape(arena, Addr(slot));
    }
    text + ")"
}
