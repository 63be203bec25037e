//! Lists of rows or cells as bytes: whichever of four forms is the smallest.

use crate::base::codec::{Reader, Writer};
use crate::page::error::PageError;
use crate::page::select::Axis;

/// How a list is written.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Any list: count, first, then each one's signed distance from the one before.
    List,
    /// Ever larger: count, first, then each one's distance from the one before, less 1.
    Rising,
    /// Ever larger: first byte of the mask, bytes, the mask. Bit b of byte n is index `8 * n + b`.
    Mask,
    /// Ever larger: count, then for each run of neighbours the gap before it (less 1 after the first) and its length, less 1.
    Runs,
}

impl Form {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::List => 2,
            Self::Rising => 3,
            Self::Mask => 4,
            Self::Runs => 5,
        }
    }

    pub(crate) fn of(code: u8) -> Option<Self> {
        [Self::List, Self::Rising, Self::Mask, Self::Runs].into_iter().find(|form| form.code() == code)
    }
}

/// What one pass over a list tells.
pub(crate) struct Survey {
    count: u64,
    first: u64,
    last: u64,
    rising: bool,
    /// The distance between all neighbours, when it is one and positive.
    step: Option<u64>,
    runs: u64,
    list_bytes: u64,
    rising_bytes: u64,
    runs_bytes: u64,
}

/// Bytes of a varint.
const fn varint_bytes(value: u64) -> u64 {
    (70 - (value | 1).leading_zeros() as u64) / 7
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// Calls `f` with the start and length of each run of neighbours of an ever larger list.
fn each_run(list: &[u64], mut f: impl FnMut(u64, u64)) {
    for run in list.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        f(run[0], run.len() as u64);
    }
}

impl Survey {
    pub(crate) fn of(list: &[u64]) -> Self {
        let (first, last) = (list.first().copied().unwrap_or(0), list.last().copied().unwrap_or(0));
        let head = varint_bytes(list.len() as u64) + varint_bytes(first);
        let mut survey = Self {
            count: list.len() as u64,
            first,
            last,
            rising: true,
            step: list
                .get(1)
                .and_then(|second| second.checked_sub(first))
                .filter(|&step| step > 0)
                .or(Some(1)),
            runs: 0,
            list_bytes: head,
            rising_bytes: head,
            runs_bytes: 0,
        };
        for pair in list.windows(2) {
            let distance = pair[1].wrapping_sub(pair[0]);
            survey.rising &= pair[1] > pair[0];
            survey.step = survey.step.filter(|&step| step == distance && pair[1] > pair[0]);
            survey.list_bytes += varint_bytes(zigzag(distance as i64));
            survey.rising_bytes += varint_bytes(distance.wrapping_sub(1));
        }
        if survey.rising && survey.count > 0 {
            let mut end = 0;
            each_run(list, |start, length| {
                let gap = if survey.runs == 0 { start } else { start - end - 1 };
                survey.runs_bytes += varint_bytes(gap) + varint_bytes(length - 1);
                survey.runs += 1;
                end = start.wrapping_add(length);
            });
            survey.runs_bytes += varint_bytes(survey.runs);
        }
        survey
    }

    /// The range that the list is, when it is one.
    pub(crate) fn range(&self) -> Option<Axis> {
        let step = self.step?;
        let stop = if self.count == 0 { 0 } else { self.last.checked_add(1)? };
        Some(Axis { start: self.first, stop, step })
    }

    fn mask_bytes(&self) -> u64 {
        self.last / 8 - self.first / 8 + 1
    }

    /// The smallest form; runs only where they may be.
    pub(crate) fn smallest(&self, runs: bool) -> Form {
        if !self.rising || self.count == 0 {
            return Form::List;
        }
        let mask = varint_bytes(self.first / 8) + varint_bytes(self.mask_bytes()) + self.mask_bytes();
        let mut best = (self.rising_bytes, Form::Rising);
        for other in [(mask, Form::Mask), (self.runs_bytes, Form::Runs)] {
            if (runs || other.1 != Form::Runs) && other.0 < best.0 {
                best = other;
            }
        }
        best.1
    }

    /// Writes the list that was surveyed.
    pub(crate) fn encode(&self, list: &[u64], form: Form, out: &mut Writer) {
        match form {
            Form::List | Form::Rising => {
                out.varint(self.count);
                if self.count > 0 {
                    out.varint(self.first);
                }
                for pair in list.windows(2) {
                    let distance = pair[1].wrapping_sub(pair[0]);
                    if form == Form::List { out.zigzag(distance as i64) } else { out.varint(distance - 1) }
                }
            }
            Form::Mask => {
                let base = self.first / 8;
                let mut mask = vec![0u8; self.mask_bytes() as usize];
                list.iter().for_each(|index| mask[(index / 8 - base) as usize] |= 1 << (index % 8));
                out.varint(base);
                out.bytes(&mask);
            }
            Form::Runs => {
                out.varint(self.runs);
                let mut end = None;
                each_run(list, |start, length| {
                    out.varint(end.map_or(start, |end| start - end - 1));
                    out.varint(length - 1);
                    end = Some(start.wrapping_add(length));
                });
            }
        }
    }
}

const PAST: PageError = PageError::Malformed("an index past 64 bits");

/// Reads a list. It never has more than eight entries for each byte that is left to read.
pub(crate) fn decode(input: &mut Reader<'_>, form: Form) -> Result<Vec<u64>, PageError> {
    match form {
        Form::List | Form::Rising => decode_list(input, form == Form::Rising),
        Form::Mask => decode_mask(input),
        Form::Runs => decode_runs(input),
    }
}

/// Moves past what [`decode`] reads, without making anything of it.
pub(crate) fn skip(input: &mut Reader<'_>, form: Form) -> Result<(), PageError> {
    let count = input.varint()?;
    match form {
        Form::List | Form::Rising => input.skip_varints(count)?,
        Form::Mask => drop(input.bytes()?),
        Form::Runs => input.skip_varints(count.checked_mul(2).ok_or(PAST)?)?,
    }
    Ok(())
}

fn decode_list(input: &mut Reader<'_>, rising: bool) -> Result<Vec<u64>, PageError> {
    let count = input.varint()?;
    if count > input.left() as u64 {
        return Err(PageError::Malformed("more indices than bytes for them"));
    }
    let mut list = Vec::with_capacity(count as usize);
    let mut last = 0u64;
    for place in 0..count {
        last = match (place, rising) {
            (0, _) => input.varint()?,
            (_, true) => {
                input.varint()?.checked_add(1).and_then(|step| last.checked_add(step)).ok_or(PAST)?
            }
            (_, false) => last.wrapping_add(input.zigzag()? as u64),
        };
        list.push(last);
    }
    Ok(list)
}

fn decode_mask(input: &mut Reader<'_>) -> Result<Vec<u64>, PageError> {
    let base = input.varint()?;
    let mask = input.bytes()?;
    if base.checked_add(mask.len() as u64).is_none_or(|end| end > u64::MAX / 8) {
        return Err(PAST);
    }
    let mut list = Vec::with_capacity(mask.iter().map(|byte| byte.count_ones() as usize).sum());
    for (place, &byte) in mask.iter().enumerate() {
        let mut left = byte;
        while left != 0 {
            list.push((base + place as u64) * 8 + u64::from(left.trailing_zeros()));
            left &= left - 1;
        }
    }
    Ok(list)
}

fn decode_runs(input: &mut Reader<'_>) -> Result<Vec<u64>, PageError> {
    let runs = input.varint()?;
    let mut list: Vec<u64> = Vec::new();
    for _ in 0..runs {
        let gap = input.varint()?;
        let start = match list.last() {
            None => gap,
            Some(last) => gap.checked_add(2).and_then(|gap| last.checked_add(gap)).ok_or(PAST)?,
        };
        let more = input.varint()?;
        let last = start.checked_add(more).ok_or(PAST)?;
        if more.saturating_add(list.len() as u64) >= input.left() as u64 {
            return Err(PageError::Malformed("more cells in runs than bytes of data"));
        }
        list.extend(start..=last);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_form_is_chosen_and_its_size_known() {
        let cases: [(Vec<u64>, Form); 6] = [
            (vec![5, 3, 9, 9], Form::List),
            (vec![5, 500, 50_000], Form::Rising),
            ((0..1000).filter(|index| index % 7 != 3).collect(), Form::Mask),
            ((0..1000).filter(|index| index / 100 % 2 == 1).collect(), Form::Runs),
            ((0..1000).filter(|index| index % 91 == 2 || index % 97 == 2).collect(), Form::Rising),
            (vec![], Form::List),
        ];
        for (list, wanted) in cases {
            let survey = Survey::of(&list);
            assert_eq!(survey.smallest(true), wanted, "{list:?}");
            let mut sizes = Vec::new();
            for form in [Form::List, Form::Rising, Form::Mask, Form::Runs] {
                if form != Form::List && (!survey.rising || list.is_empty()) {
                    continue;
                }
                let mut out = Writer::new();
                survey.encode(&list, form, &mut out);
                let written = out.len();
                // A reader of runs wants to see the data they stand for.
                out.raw(&vec![0; list.len()]);
                let mut input = Reader::new(out.as_slice());
                assert_eq!(decode(&mut input, form), Ok(list.clone()), "{form:?}");
                assert_eq!(input.at(), written);
                sizes.push((written, form));
            }
            let smallest = sizes.iter().map(|(size, _)| *size).min();
            let chosen = sizes.iter().find(|(_, form)| *form == wanted).map(|(size, _)| *size);
            assert_eq!(chosen, smallest, "{sizes:?}");
        }
    }

    #[test]
    fn ranges_are_found() {
        let range = |list: &[u64]| Survey::of(list).range();
        assert_eq!(range(&[]), Some(Axis { start: 0, stop: 0, step: 1 }));
        assert_eq!(range(&[7]), Some(Axis { start: 7, stop: 8, step: 1 }));
        assert_eq!(range(&[7, 8, 9]), Some(Axis { start: 7, stop: 10, step: 1 }));
        assert_eq!(range(&[7, 17, 27]), Some(Axis { start: 7, stop: 28, step: 10 }));
        for list in [&[7, 7][..], &[9, 8, 7], &[1, 2, 4], &[1, 3, 5, 6]] {
            assert_eq!(range(list), None, "{list:?}");
        }
    }
}
