//! The kernels of the built-in rules beside plain models.
#![allow(clippy::unwrap_used)]

mod closure;
mod expression;
mod expression_kernel;
mod expression_model;
mod expression_values;
mod page_maker;
mod product;
mod reduction;
mod reduction_figures;
mod reduction_rules;
mod relation;
mod relation_kernel;
mod relation_model;
