//! What an expression comes to: steps, each with its loop and the places of what it reads and makes.

use crate::base::limits::{EXPRESSION_BLOCK, EXPRESSION_BYTES};
use crate::page::dtype::DType;
use crate::propagation::expression::loops::{One, Three, Two};

/// The loop of a step.
#[derive(Copy, Clone, Debug)]
pub(super) enum Call {
    One(One),
    Two(Two),
    Three(Three),
    /// A power of integers of this type with a sign, whose exponents must have none.
    Power(Two, DType),
    /// The cells as they are.
    Copy,
}

impl Call {
    const fn operands(self) -> usize {
        match self {
            Self::One(_) | Self::Copy => 1,
            Self::Two(_) | Self::Power(..) => 2,
            Self::Three(_) => 3,
        }
    }
}

/// A column that is read.
#[derive(Copy, Clone, Debug)]
pub(super) struct Read {
    pub(super) input: u16,
    pub(super) column: u16,
    /// Rows of the input.
    pub(super) rows: u64,
    /// Cells of one row.
    pub(super) cells: u64,
    pub(super) dtype: DType,
    /// Bytes of a cell.
    pub(super) size: usize,
}

/// How a value is made.
#[derive(Copy, Clone)]
pub(super) enum Make {
    Read(u32),
    Constant(u64),
    Step(Call),
}

/// A value on the way: as many cells as the result has.
#[derive(Copy, Clone)]
pub(super) struct Value {
    pub(super) make: Make,
    pub(super) of: [u32; 3],
    pub(super) size: u8,
}

/// Values of which each is made of earlier ones.
#[derive(Default)]
pub(super) struct Flow {
    pub(super) values: Vec<Value>,
    pub(super) reads: Vec<Read>,
}

/// Where cells are.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In a register.
    Register(u32),
    /// Where the column has them.
    View(u32),
    /// In the result.
    Out,
}

/// Where cells are, and the bytes of one.
#[derive(Copy, Clone, Debug)]
pub(super) struct Cells {
    pub(super) place: Place,
    pub(super) size: u8,
}

#[derive(Copy, Clone, Debug)]
pub(super) struct Step {
    pub(super) call: Call,
    pub(super) out: Cells,
    pub(super) of: [Cells; 3],
}

/// How a column that has not a cell for each of the result's is spread over them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// Its one cell everywhere.
    Fill,
    /// Each of its cells over a row.
    Repeat,
    /// Its one row again and again.
    Cycle,
}

/// Steps to the result. Registers hold the constants first, then what is spread, then what steps make.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// Rows of the result.
    pub(super) rows: u64,
    /// Cells of a row of the result.
    pub(super) cells: u64,
    /// Bytes of a cell of the result.
    pub(super) size: usize,
    /// Bits and bytes of each constant.
    pub(super) constants: Vec<(u64, u8)>,
    pub(super) spread: Vec<(Read, Spread)>,
    /// What is read where it is.
    pub(super) views: Vec<Read>,
    pub(super) steps: Vec<Step>,
    registers: usize,
}

/// Which value each is for last; `None` where it is for none, and the root is for the world.
fn last_uses(values: &[Value], root: u32) -> Vec<Option<u32>> {
    let mut last = vec![None; values.len()];
    last[root as usize] = Some(u32::MAX);
    for at in (0..=root).rev() {
        let value = values[at as usize];
        if let (Make::Step(call), Some(_)) = (value.make, last[at as usize]) {
            for &of in &value.of[..call.operands()] {
                last[of as usize].get_or_insert(at);
            }
        }
    }
    last
}

impl Program {
    /// The steps to a value.
    pub(super) fn new(flow: &Flow, root: u32, rows: u64, cells: u64) -> Self {
        let values = &flow.values;
        let last = last_uses(values, root);
        let size = usize::from(values[root as usize].size);
        let mut program = Self {
            rows,
            cells,
            size,
            constants: vec![],
            spread: vec![],
            views: vec![],
            steps: vec![],
            registers: 0,
        };
        let mut places = vec![Place::Out; values.len()];
        program.place_leaves(flow, &last, &mut places);
        let fixed = program.registers as u32;
        let mut free: Vec<u32> = Vec::new();
        for (at, value) in (0..=root).zip(values) {
            let (Make::Step(call), Some(_)) = (value.make, last[at as usize]) else { continue };
            if at != root {
                places[at as usize] = Place::Register(free.pop().unwrap_or(program.registers as u32));
                if places[at as usize] == Place::Register(program.registers as u32) {
                    program.registers += 1;
                }
            }
            let cells = |of: u32| Cells { place: places[of as usize], size: values[of as usize].size };
            let n = call.operands();
            let of = std::array::from_fn(|i| cells(value.of[if i < n { i } else { 0 }]));
            program.steps.push(Step { call, out: cells(at), of });
            for (i, &of) in value.of[..n].iter().enumerate() {
                if let Place::Register(register) = places[of as usize]
                    && register >= fixed
                    && last[of as usize] == Some(at)
                    && !value.of[..i].contains(&of)
                {
                    free.push(register);
                }
            }
        }
        if !matches!(values[root as usize].make, Make::Step(_)) {
            let from = Cells { place: places[root as usize], size: size as u8 };
            let out = Cells { place: Place::Out, size: size as u8 };
            program.steps.push(Step { call: Call::Copy, out, of: [from; 3] });
        }
        program
    }

    /// Finds places for what is not made by steps.
    fn place_leaves(&mut self, flow: &Flow, last: &[Option<u32>], places: &mut [Place]) {
        let used = || flow.values.iter().zip(last).enumerate().filter(|(_, (_, last))| last.is_some());
        for (at, (value, _)) in used() {
            if let Make::Constant(bits) = value.make {
                places[at] = Place::Register(self.constants.len() as u32);
                self.constants.push((bits, value.size));
            }
        }
        for (at, (value, _)) in used() {
            let Make::Read(read) = value.make else { continue };
            let read = flow.reads[read as usize];
            let one_row = read.rows != self.rows;
            let spread = match (one_row, read.cells == self.cells) {
                (false, true) => None,
                (false, false) => Some(Spread::Repeat),
                (true, _) if read.cells == 1 => Some(Spread::Fill),
                (true, _) => Some(Spread::Cycle),
            };
            if let Some(spread) = spread {
                places[at] = Place::Register((self.constants.len() + self.spread.len()) as u32);
                self.spread.push((read, spread));
            } else {
                places[at] = Place::View(self.views.len() as u32);
                self.views.push(read);
            }
        }
        self.registers = self.constants.len() + self.spread.len();
    }

    /// How many cells are worked out at once.
    pub(super) fn block(&self) -> usize {
        let fit = EXPRESSION_BYTES / (8 * self.registers.max(1));
        let all = usize::try_from(self.rows.saturating_mul(self.cells)).unwrap_or(usize::MAX);
        fit.clamp(16, EXPRESSION_BLOCK).min(all.max(1))
    }

    /// How many registers there are.
    pub(super) const fn registers(&self) -> usize {
        self.registers
    }

    /// All columns that are read.
    pub(super) fn reads(&self) -> impl Iterator<Item = Read> {
        self.views.iter().copied().chain(self.spread.iter().map(|(read, _)| *read))
    }
}
