//! Three-way merge of plain states, cell by cell.

use std::sync::Arc;

use mmsb::base::ids::PageId;
use mmsb::bus::merge::OnConflict;
use mmsb::page::operator::OperatorId;

use super::{Page, Pages, merged_cell};

/// Why a merge fails, or what it makes of `ours`.
/// `assigned` says of cells of a page whether anything but merges by its operator changed them since.
pub fn merge(
    base: &Pages,
    ours: &Pages,
    theirs: &Pages,
    policy: OnConflict,
    assigned: &impl Fn(PageId, u16, u64) -> bool,
) -> Result<Pages, &'static str> {
    let mut result = ours.clone();
    // What goes, goes first: its name may be taken again.
    for (id, before) in base.iter().filter(|(id, _)| !theirs.contains_key(id)) {
        match ours.get(id) {
            None => {}
            Some(mine) if mine == before => drop(result.remove(id)),
            Some(_) if settled(policy, "dropped against written")? => drop(result.remove(id)),
            Some(_) => {}
        }
    }
    for (id, other) in theirs {
        let (before, mine) = (base.get(id), ours.get(id));
        if before == Some(other) {
            continue;
        }
        let taken = match (before, mine) {
            (None, None) => Some(Arc::clone(other)),
            (Some(_), None) => settled(policy, "written against dropped")?.then(|| Arc::clone(other)),
            (None, Some(mine)) if mine == other => None,
            (None, Some(_)) => settled(policy, "made on both sides")?.then(|| Arc::clone(other)),
            (Some(before), Some(mine)) => {
                let assigned = |column, cell| assigned(*id, column, cell);
                Some(Arc::new(cells(before, mine, other, policy, &assigned)?))
            }
        };
        put(&mut result, *id, taken, policy)?;
    }
    Ok(result)
}

fn put(
    result: &mut Pages,
    id: PageId,
    page: Option<Arc<Page>>,
    policy: OnConflict,
) -> Result<(), &'static str> {
    let Some(page) = page else { return Ok(()) };
    let named = result.iter().find(|(other, there)| **other != id && there.name == page.name);
    if let Some((&named, _)) = named {
        if !settled(policy, "one name for two pages")? {
            return Ok(());
        }
        result.remove(&named);
    }
    result.insert(id, page);
    Ok(())
}

/// Whether a conflict goes the other side's way.
fn settled(policy: OnConflict, why: &'static str) -> Result<bool, &'static str> {
    match policy {
        OnConflict::Raise => Err(why),
        OnConflict::Ours => Ok(false),
        OnConflict::Theirs => Ok(true),
    }
}

fn cells(
    base: &Page,
    mine: &Page,
    other: &Page,
    policy: OnConflict,
    assigned: &impl Fn(u16, u64) -> bool,
) -> Result<Page, &'static str> {
    if mine.rows != other.rows && base.rows != other.rows {
        let free = mine == base || settled(policy, "resized against written")?;
        return Ok(if free { other.clone() } else { mine.clone() });
    }
    let resized = mine.rows != other.rows;
    if resized && !settled(policy, "written against resized")? {
        return Ok(mine.clone());
    }
    let mut result = mine.clone();
    let op = mine.schema.operator().unwrap_or(OperatorId::ASSIGN);
    for (i, column) in mine.schema.columns().iter().enumerate() {
        let size = column.cell_bytes() as usize;
        let n = mine.columns[i].len().min(other.columns[i].len());
        for at in (0..n).step_by(size) {
            let zeros = vec![0; size];
            let b = base.columns[i].get(at..at + size).unwrap_or(&zeros);
            let (m, o) = (&mine.columns[i][at..at + size], &other.columns[i][at..at + size]);
            let merged = || {
                let plain = assigned(i as u16, (at / size) as u64);
                if plain { None } else { merged_cell(op, column.dtype(), b, m, o) }
            };
            if o == b || (m == o && (m == b || merged().is_none())) {
                continue;
            }
            let cell = if m == b || resized {
                o.to_vec()
            } else if let Some(cell) = merged() {
                cell
            } else if settled(policy, "written on both sides")? {
                o.to_vec()
            } else {
                continue;
            };
            result.columns[i][at..at + size].copy_from_slice(&cell);
        }
    }
    Ok(result)
}
