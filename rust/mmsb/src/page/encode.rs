//! A delta as bytes in the body of a frame. Section "Delta" of `docs/bytes.md` describes them.
//!
//! Encoding keeps what a delta does and in which order, not the form it was said in: a list of rows that is a range
//! comes back as a range.

use crate::base::codec::{Reader, Writer};
use crate::base::ids::{BranchId, PageId};
use crate::page::delta::{Data, Delta, Part};
use crate::page::error::PageError;
use crate::page::indices::{self, Form};
use crate::page::operator::OperatorId;
use crate::page::select::{Axis, Inner, Rows, Select};
use std::borrow::Cow;
use std::sync::Arc;

/// Low bits of a part's tag: how rows or cells are listed. [`indices::Form`] has the codes from 2 on.
const FORM: u8 = 0b111;
const RANGE: u8 = 0;
const STRIDED: u8 = 1;
/// The selection of the part before.
const SAME: u8 = 7;
/// The selection is of single cells.
const CELLS: u8 = 1 << 3;
/// A box of the inner axes follows.
const INNER: u8 = 1 << 4;
/// The data repeats.
const FILL: u8 = 1 << 5;
const KNOWN: u8 = FORM | CELLS | INNER | FILL;

/// Fewest bytes of a part: column, tag, data length.
const PART_MIN: usize = 3;

impl Delta<'_> {
    /// Writes the delta.
    pub fn encode(&self, out: &mut Writer) {
        self.encode_with(out, |part, out| out.raw(part.data.bytes()));
    }

    /// Writes the delta, and leaves each part's data to `put`; its length is written.
    pub fn encode_with(&self, out: &mut Writer, mut put: impl FnMut(&Part<'_>, &mut Writer)) {
        out.varint(u64::from(self.page.birth_branch().get()));
        out.varint(u64::from(self.page.counter()));
        out.varint(u64::from(self.op.0));
        out.varint(self.parts.len() as u64);
        let mut before = None;
        for part in &self.parts {
            encode_part(part, before, out);
            put(part, out);
            before = Some(&part.select);
        }
    }
}

/// Writes the delta that assigns the rows from `start` up to `stop` of one column.
#[inline]
pub fn encode_rows(page: PageId, column: u16, (start, stop): (u64, u64), bytes: &[u8], out: &mut Writer) {
    out.varint(u64::from(page.birth_branch().get()));
    out.varint(u64::from(page.counter()));
    out.varint(u64::from(OperatorId::ASSIGN.0));
    out.varint(1);
    out.varint(u64::from(column));
    encode_range(Axis { start, stop, step: 1 }, 0, out);
    out.bytes(bytes);
}

impl<'a> Delta<'a> {
    /// Reads a delta; the data stays where it is. What it selects is not checked: [`Delta::check`] does that.
    ///
    /// # Errors
    /// [`PageError::Malformed`] and [`PageError::Codec`] for bytes that are no delta. Never panics, and asks for no more
    /// memory than a small multiple of the input.
    pub fn decode(input: &mut Reader<'a>) -> Result<Self, PageError> {
        let (page, op, count) = decode_head(input)?;
        let mut parts: Vec<Part<'a>> = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let part = decode_part(input, parts.last().map(|part| &part.select))?;
            parts.push(part);
        }
        Ok(Self { page, op, parts })
    }

    /// Reads a delta part by part, without putting it together: `begin` gets its page and operator, `each` its parts in
    /// order, with what `begin` made of them. Where that is nothing, it moves past the parts, as [`Delta::skip`] does.
    /// After an error some parts may have been handed out.
    ///
    /// # Errors
    /// As [`Delta::decode`], and those of `begin` and `each`.
    #[inline]
    pub fn decode_parts<T, E: From<PageError>>(
        input: &mut Reader<'a>,
        begin: impl FnOnce(PageId, OperatorId) -> Result<Option<T>, E>,
        mut each: impl FnMut(&mut T, &Part<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (page, op, count) = decode_head(input)?;
        let Some(mut begun) = begin(page, op)? else {
            return Ok((0..count).try_for_each(|_| skip_part(input))?);
        };
        let mut before: Option<Part<'a>> = None;
        for left in (0..count).rev() {
            let part = decode_part(input, before.as_ref().map(|part| &part.select))?;
            each(&mut begun, &part)?;
            if left > 0 {
                before = Some(part);
            }
        }
        Ok(())
    }

    /// Reads a delta if it is of this page, and moves past it otherwise. Of a delta it moves past it notices less than
    /// [`Delta::decode`] would.
    ///
    /// # Errors
    /// As [`Delta::decode`].
    pub fn decode_of(input: &mut Reader<'a>, page: PageId) -> Result<Option<Self>, PageError> {
        if decode_page(&mut input.clone())? == page {
            return Self::decode(input).map(Some);
        }
        Self::skip(input).map(|_| None)
    }

    /// Moves past a delta; the page it is of. Notices less than [`Delta::decode`] would.
    ///
    /// # Errors
    /// As [`Delta::decode`].
    pub fn skip(input: &mut Reader<'a>) -> Result<PageId, PageError> {
        let mut ahead = input.clone();
        let page = decode_page(&mut ahead)?;
        ahead.skip_varints(1)?;
        for _ in 0..ahead.varint()? {
            skip_part(&mut ahead)?;
        }
        *input = ahead;
        Ok(page)
    }
}

// What reads a small delta is inlined by force: handing results of many words from one function to the next takes
// longer than to read them, and past states read hundreds of thousands.

/// Page, operator, and how many parts follow.
#[inline(always)]
fn decode_head(input: &mut Reader<'_>) -> Result<(PageId, OperatorId, u64), PageError> {
    let page = decode_page(input)?;
    let op = OperatorId(narrow(input, "operator id past 16 bits")?);
    let count = input.varint()?;
    if count > (input.left() / PART_MIN) as u64 {
        return Err(PageError::Malformed("more parts than bytes for them"));
    }
    Ok((page, op, count))
}

#[inline(always)]
fn decode_page(input: &mut Reader<'_>) -> Result<PageId, PageError> {
    let branch = narrow(input, "branch id past 32 bits")?;
    Ok(PageId::new(BranchId(branch), narrow(input, "page counter past 32 bits")?))
}

fn skip_part(input: &mut Reader<'_>) -> Result<(), PageError> {
    input.skip_varints(1)?;
    let tag = input.u8()?;
    match tag & FORM {
        SAME => {}
        RANGE => input.skip_varints(2)?,
        STRIDED => input.skip_varints(3)?,
        listed => {
            let form = Form::of(listed).ok_or(PageError::Malformed("unknown form of a selection"))?;
            indices::skip(input, form)?;
        }
    }
    if tag & INNER != 0 {
        let axes =
            input.varint()?.checked_mul(3).ok_or(PageError::Malformed("more inner axes than bytes"))?;
        input.skip_varints(axes)?;
    }
    input.bytes()?;
    Ok(())
}

/// Writes a part up to its data.
fn encode_part(part: &Part<'_>, before: Option<&Select>, out: &mut Writer) {
    out.varint(u64::from(part.column));
    let (fill, data) = match &part.data {
        Data::Dense(bytes) => (0, bytes),
        Data::Fill(bytes) => (FILL, bytes),
    };
    if before == Some(&part.select) {
        out.u8(SAME | fill);
    } else {
        encode_select(&part.select, fill, data.len(), out);
    }
    out.varint(data.len() as u64);
}

fn encode_select(select: &Select, fill: u8, data: usize, out: &mut Writer) {
    let (list, flags, inner) = match select {
        Select::Cells(list) => (list, CELLS | fill, None),
        Select::Rows { rows, inner } => {
            let flags = fill | if inner.is_some() { INNER } else { 0 };
            match rows {
                &Rows::Range { start, stop, step } => {
                    encode_range(Axis { start, stop, step }, flags, out);
                    return encode_inner(inner.as_ref(), out);
                }
                Rows::Index(list) => (list, flags, inner.as_ref()),
            }
        }
    };
    let survey = indices::Survey::of(list);
    match survey.range().filter(|_| flags & CELLS == 0) {
        Some(range) => encode_range(range, flags, out),
        None => {
            // A reader grants a list room only for data that is there, so runs must not be shorter than that.
            let form = survey.smallest(fill == 0 && data >= list.len());
            out.u8(form.code() | flags);
            survey.encode(list, form, out);
        }
    }
    encode_inner(inner, out);
}

#[inline]
fn encode_range(range: Axis, flags: u8, out: &mut Writer) {
    let strided = range.step != 1;
    out.u8(flags | if strided { STRIDED } else { RANGE });
    out.varint(range.start);
    out.varint(range.stop.saturating_sub(range.start));
    if strided {
        out.varint(range.step);
    }
}

fn encode_inner(inner: Option<&Inner>, out: &mut Writer) {
    let Some(Inner(axes)) = inner else { return };
    out.varint(axes.len() as u64);
    for axis in axes {
        out.varint(axis.start);
        out.varint(axis.stop.saturating_sub(axis.start));
        out.varint(axis.step);
    }
}

#[inline(always)]
fn decode_part<'a>(input: &mut Reader<'a>, before: Option<&Select>) -> Result<Part<'a>, PageError> {
    let column = narrow(input, "column number past 16 bits")?;
    let tag = input.u8()?;
    if tag & !KNOWN != 0 {
        return Err(PageError::Malformed("unknown flags of a part"));
    }
    let select = if tag & FORM == SAME {
        match before {
            Some(select) if tag & (CELLS | INNER) == 0 => select.clone(),
            _ => return Err(PageError::Malformed("no part before to select the same as")),
        }
    } else {
        decode_select(input, tag)?
    };
    let data = Cow::Borrowed(input.bytes()?);
    let data = if tag & FILL == 0 { Data::Dense(data) } else { Data::Fill(data) };
    Ok(Part { column, select, data })
}

#[inline(always)]
fn decode_select(input: &mut Reader<'_>, tag: u8) -> Result<Select, PageError> {
    let form = tag & FORM;
    if tag & CELLS != 0 {
        let form = Form::of(form).filter(|_| tag & INNER == 0);
        let form = form.ok_or(PageError::Malformed("cells that are not listed, or in a box"))?;
        return Ok(Select::Cells(Arc::new(indices::decode(input, form)?)));
    }
    let rows = match form {
        RANGE | STRIDED => {
            let Axis { start, stop, step } = decode_axis(input, form == STRIDED)?;
            Rows::Range { start, stop, step }
        }
        listed => {
            let form = Form::of(listed).ok_or(PageError::Malformed("unknown form of a selection"))?;
            Rows::Index(Arc::new(indices::decode(input, form)?))
        }
    };
    let inner = if tag & INNER == 0 { None } else { Some(decode_inner(input)?) };
    Ok(Select::Rows { rows, inner })
}

fn decode_inner(input: &mut Reader<'_>) -> Result<Inner, PageError> {
    let axes = input.varint()?;
    if axes > crate::base::limits::MAX_INNER_AXES as u64 {
        return Err(PageError::Malformed("more inner axes than a column can have"));
    }
    Ok(Inner((0..axes).map(|_| decode_axis(input, true)).collect::<Result<_, _>>()?))
}

#[inline(always)]
fn decode_axis(input: &mut Reader<'_>, strided: bool) -> Result<Axis, PageError> {
    let start = input.varint()?;
    let stop = start.checked_add(input.varint()?).ok_or(PageError::Malformed("a range past 64 bits"))?;
    let step = if strided { input.varint()? } else { 1 };
    if step == 0 {
        return Err(PageError::Malformed("a range of step 0"));
    }
    Ok(Axis { start, stop, step })
}

/// A varint that must fit a smaller type.
#[inline(always)]
fn narrow<T: TryFrom<u64>>(input: &mut Reader<'_>, why: &'static str) -> Result<T, PageError> {
    T::try_from(input.varint()?).map_err(|_| PageError::Malformed(why))
}
