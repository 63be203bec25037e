//! Circuits of provenance: small, each gate once, and the same in every semiring.

use mmsb::algebra::circuit::{Circuit, Gate, Node};
use mmsb::algebra::ladder::Traits;
use mmsb::algebra::law::check;
use mmsb::algebra::semirings::{Boolean, Counting, Log, MinPlus, PlusTimes, Viterbi};
use mmsb::algebra::value::Truth;
use mmsb::algebra::why::{Why, Witnesses};
use proptest::prelude::*;

/// A way to say a circuit: which nodes each gate joins, counted back.
fn gates() -> impl Strategy<Value = Vec<(bool, usize, usize)>> {
    prop::collection::vec((any::<bool>(), 0usize..40, 0usize..40), 1..60)
}

fn built(gates: &[(bool, usize, usize)]) -> (Circuit, Vec<Node>) {
    let mut circuit = Circuit::default();
    let nodes = built_in(&mut circuit, gates, false);
    (circuit, nodes)
}

/// The same in a circuit that is there, with the sides of every gate as they are or the other way round.
fn built_in(circuit: &mut Circuit, gates: &[(bool, usize, usize)], turned: bool) -> Vec<Node> {
    let mut nodes = vec![Circuit::ZERO, Circuit::ONE];
    nodes.extend((0..4).map(|number| circuit.variable(number)));
    for &(plus, a, b) in gates {
        let (a, b) = (nodes[a % nodes.len()], nodes[b % nodes.len()]);
        let (a, b) = if turned { (b, a) } else { (a, b) };
        nodes.push(if plus { circuit.plus(a, b) } else { circuit.times(a, b) });
    }
    nodes
}

proptest! {
    #[test]
    fn a_circuit_says_the_same_in_every_semiring(all in gates(), values in prop::array::uniform4(0u64..5)) {
        let (circuit, nodes) = built(&all);
        // From how many ways to whether there is one: what is a sum and product there is one here.
        let count = circuit.evaluate::<u64, Counting>(&nodes, |number| values[number as usize]);
        let is = circuit.evaluate::<Truth, Boolean>(&nodes, |number| Truth::from(values[number as usize] > 0));
        for (count, is) in count.iter().zip(&is) {
            prop_assert_eq!(*count > 0, is.is_true());
        }
        // Logarithms of probabilities, and probabilities.
        let chance = |number: u64| (values[number as usize] as f64 + 1.0) / 8.0;
        let (logs, plain) = (
            circuit.evaluate::<f64, Log>(&nodes, |number| chance(number).ln()),
            circuit.evaluate::<f64, PlusTimes>(&nodes, chance),
        );
        for (log, plain) in logs.iter().zip(&plain).filter(|(log, plain)| log.abs() < 500.0 && **plain > 0.0) {
            prop_assert!((log.exp() / plain - 1.0).abs() < 1e-9, "{} {}", log.exp(), plain);
        }
        // The likeliest way is no likelier than all together.
        let best = circuit.evaluate::<f64, Viterbi>(&nodes, chance);
        prop_assert!(best.iter().zip(&plain).all(|(best, all)| *best <= all * (1.0 + 1e-9)));
    }

    #[test]
    fn what_is_said_twice_is_written_once(all in gates()) {
        let (mut circuit, nodes) = built(&all);
        let len = circuit.len();
        prop_assert_eq!(&built_in(&mut circuit, &all, false), &nodes);
        prop_assert_eq!(&built_in(&mut circuit, &all, true), &nodes);
        prop_assert_eq!(circuit.len(), len);
        for node in &nodes {
            if let Gate::Plus(a, b) | Gate::Times(a, b) = circuit.gate(*node) {
                prop_assert!(a <= b && b < *node);
            }
        }
    }
}

/// Some sets of few sources.
fn witnesses() -> impl Strategy<Value = Witnesses> {
    prop::collection::btree_set(prop::collection::btree_set(0u64..5, 0..4), 0..4)
}

proptest! {
    #[test]
    fn witnesses_are_a_semiring_and_what_a_circuit_says(
        a in witnesses(), b in witnesses(), c in witnesses(), all in prop::collection::vec((any::<bool>(), 0usize..12, 0usize..12), 1..8),
    ) {
        let traits = Traits::IDEMPOTENT.and(Traits::COMMUTATIVE).and(Traits::EXACT);
        prop_assert_eq!(check(&Why, traits, [[a, b, c]]), Ok(()));
        let (circuit, nodes) = built(&all);
        let sets = circuit.evaluate_in(&Why, &nodes, Why::source);
        for (node, sets) in nodes.iter().zip(&sets) {
            // Each of them suffices, and where there is none nothing does.
            for set in sets {
                let there = circuit.evaluate::<Truth, Boolean>(&[*node], |number| Truth::from(set.contains(&number)));
                prop_assert!(there[0].is_true());
            }
            let ever = circuit.evaluate::<Truth, Boolean>(&[*node], |_| Truth::YES)[0].is_true();
            prop_assert_eq!(ever, !sets.is_empty());
        }
    }
}

/// Each of 100,000 doublings names the one before twice: 2^100,000 summands, 100,000 gates, and no recursion.
#[test]
fn a_circuit_stays_small_where_a_polynomial_would_not() {
    let mut circuit = Circuit::default();
    let mut node = circuit.variable(9);
    for _ in 0..100_000 {
        node = circuit.plus(node, node);
    }
    assert_eq!(circuit.len(), 100_003);
    assert_eq!(circuit.variables(node), [9]);
    assert_eq!(circuit.evaluate::<i64, MinPlus>(&[node], |_| 5), [5]);
    assert_eq!(circuit.evaluate::<u64, Counting>(&[node], |_| 1), [u64::MAX], "too many to count");
}
