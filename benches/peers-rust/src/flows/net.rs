//! Graphs of small pages, as everybody builds them, and what their last ones must be.

/// A graph: sources, and then nodes, each of which adds up its inputs, whose numbers are smaller than its own, and a number.
pub struct Net {
    /// How it is told.
    pub name: String,
    /// How many there are that follow from nothing.
    pub sources: usize,
    /// The inputs of each node, and what is added.
    pub nodes: Vec<(Vec<usize>, i64)>,
    /// Those that are looked at.
    pub leaves: Vec<usize>,
    /// How many nodes follow from one source, where that is known.
    pub runs: usize,
    /// By what a figure is divided: the nodes that run, where it is told for one.
    pub parts: usize,
}

/// The static shapes of the public benchmark of reactive libraries for JavaScript: inputs, width, rows, and how many nodes one
/// write reaches.
const SHAPES: [(usize, usize, usize, usize); 4] =
    [(25, 1000, 5, 244), (4, 1000, 12, 209), (3, 5, 500, 2493), (6, 100, 15, 539)];

/// All of them.
pub fn all() -> Vec<Net> {
    let mut nets: Vec<Net> = SHAPES.into_iter().map(shape).collect();
    nets.push(chain(1000));
    nets.push(fan(1000));
    nets
}

fn shape((inputs, width, rows, runs): (usize, usize, usize, usize)) -> Net {
    let node = |number: usize| {
        let (row, column) = (number / width, number % width);
        ((0..inputs).map(|step| row * width + (column + step) % width).collect(), 0)
    };
    let nodes = (0..width * (rows - 1)).map(node).collect();
    let leaves = (width * (rows - 1)..width * rows).collect();
    Net { name: format!("{inputs}-{width}x{rows}"), sources: width, nodes, leaves, runs, parts: 1 }
}

fn chain(count: usize) -> Net {
    let nodes = (0..count).map(|number| (vec![number], 1)).collect();
    Net { name: "chain".into(), sources: 1, nodes, leaves: vec![count], runs: count, parts: count }
}

/// One source, nodes that add a number to it, and those that add these up in pairs.
fn fan(count: usize) -> Net {
    let mut nodes: Vec<(Vec<usize>, i64)> = (0..count).map(|number| (vec![0], number as i64)).collect();
    let mut row: Vec<usize> = (1..=count).collect();
    while row.len() > 1 {
        let mut next = Vec::new();
        for pair in row.chunks(2) {
            if let [one, other] = *pair {
                nodes.push((vec![one, other], 0));
                next.push(nodes.len());
            } else {
                next.push(pair[0]);
            }
        }
        row = next;
    }
    let runs = nodes.len();
    Net { name: "fan".into(), sources: 1, nodes, leaves: row, runs, parts: runs }
}

impl Net {
    /// Which source step `i` writes, and what: never what is there.
    pub fn write(&self, i: u64) -> (usize, i64) {
        ((i % self.sources as u64) as usize, i as i64 + 1)
    }

    /// What the leaves are after so many steps, worked out from nothing.
    pub fn expected(&self, steps: u64) -> Vec<i64> {
        let mut values = vec![0i64; self.sources];
        for step in steps.saturating_sub(self.sources as u64)..steps {
            let (source, value) = self.write(step);
            values[source] = value;
        }
        for (inputs, plus) in &self.nodes {
            let sum = inputs.iter().fold(*plus, |sum, input| sum.wrapping_add(values[*input]));
            values.push(sum);
        }
        self.leaves.iter().map(|leaf| values[*leaf]).collect()
    }
}

/// Somebody's graph.
pub trait Kept {
    /// Writes a source; all that follows is made.
    fn write(&mut self, source: usize, value: i64);
    /// What the leaves are.
    fn leaves(&self) -> Vec<i64>;
    /// How many nodes ran so far.
    fn runs(&self) -> u64;
}
