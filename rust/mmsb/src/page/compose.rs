//! Changes of one page that become one before they touch it.

use std::borrow::Cow;

use crate::page::delta::{Data, Delta, Part};
use crate::page::operator::Merge;
use crate::page::schema::Schema;

/// How many parts back one of the same cells is looked for.
const LOOKED: usize = 16;

impl<'a> Delta<'a> {
    /// Adds a part of the same page and the same operator, `None` for assignment. What is assigned to the cells of the newest
    /// part takes its place; what is merged into the cells of one of the newest parts is merged into its data, where the
    /// operator is associative bit for bit. Otherwise it comes behind all.
    pub fn add(&mut self, part: Part<'a>, schema: &Schema, operator: Option<&dyn Merge>) {
        let reach = if operator.is_some() { LOOKED } else { 1 };
        let same = |old: &&mut Part<'a>| old.column == part.column && old.select == part.select;
        let Some(old) = self.parts.iter_mut().rev().take(reach).find(same) else {
            return self.parts.push(part);
        };
        let Some(operator) = operator else {
            *old = part;
            return;
        };
        let dtype = schema.columns()[usize::from(part.column)].dtype();
        let both = (&mut old.data, &part.data);
        match both {
            (Data::Dense(into), Data::Dense(from)) | (Data::Fill(into), Data::Fill(from))
                if operator.exact(dtype) && into.len() == from.len() =>
            {
                operator.apply(dtype, Cow::to_mut(into), from);
            }
            _ => self.parts.push(part),
        }
    }
}
