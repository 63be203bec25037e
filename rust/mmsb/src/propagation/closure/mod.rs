//! Closures: the best way from a start to every vertex of a graph whose edges are the rows of a table, by a semiring.
//!
//! What is worked out is `x[v]`, the sum over all ways from the start to `v` of the products of their weights, taken step
//! by step from the start on, each rounded; of the start itself one. A weight that is the zero of the semiring is no edge,
//! nor is a row whose source or target is -1.
//!
//! **There is one result, whatever happened before, floats too.** The semirings choose, by a total order, and steps are
//! monotone: `a` no better than `b` makes `a*w` no better than `b*w`, which rounding leaves so; and no step is better than
//! what it goes on from, `a*w` no better than `a`, for no weight is better than one. So the best over all ways, of which
//! there may be infinitely many, is that of one without a circle, and its bits are a function of the graph. Any work that
//! ends with (1) every value that of some way and (2) no edge giving a better one, `x[v]` no worse than `x[u]*w`, ends
//! with that: by (2) and monotony, along any way, no value is worse than what the way comes to. The equations `x[v] = sum
//! of x[u]*w` alone would not do: with steps that change nothing a circle can hold up itself. So every vertex remembers
//! the edge that its value came by; those edges are a tree (`tree.rs`), which is what (1) rests on.
//!
//! Dijkstra's labels in the order of the semiring make it from nothing. A change costs what it reaches: an edge that got
//! better is followed as far as it improves; one that got worse or went matters only where it is in the tree, and then
//! all below it in the tree is taken back and found anew from around (the way of Ramalingam and Reps, 1996, with the tree
//! in place of counts of tight edges, which circles without cost would deceive).

mod graph;
mod kernel;
mod lists;
pub mod spec;
mod tree;
