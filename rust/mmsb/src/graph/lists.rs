//! Many short lists of numbers in one pool: eight bytes a list beyond its entries, and room to grow.

/// The largest number that an entry, or a place in the pool, may be.
pub const MAX: usize = (1 << 30) - 1;

/// Where a list lies in the pool.
#[derive(Copy, Clone, Debug, Default)]
struct Place {
    start: u32,
    len: u32,
    room: u32,
}

/// Many short lists of numbers in one pool.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    pool: Vec<u32>,
    places: Vec<Place>,
    /// Entries of the pool that no list has room in.
    waste: usize,
}

impl Lists {
    /// Adds an empty list; its number is how many there were.
    pub fn add(&mut self) {
        self.places.push(Place::default());
    }

    /// A list.
    #[inline]
    #[must_use]
    pub fn get(&self, list: u32) -> &[u32] {
        let place = self.places[list as usize];
        &self.pool[place.start as usize..(place.start + place.len) as usize]
    }

    /// Makes a list these entries.
    pub fn set(&mut self, list: u32, entries: &[u32]) {
        let place = self.places[list as usize];
        if entries.len() > place.room as usize {
            // What will not be added to one by one gets no room for it.
            self.move_to_end(list, entries.len() as u32);
        }
        let place = &mut self.places[list as usize];
        place.len = entries.len() as u32;
        let start = place.start as usize;
        self.pool[start..start + entries.len()].copy_from_slice(entries);
    }

    /// Adds an entry at the end of a list.
    pub fn push(&mut self, list: u32, entry: u32) {
        let place = self.places[list as usize];
        if place.len == place.room {
            self.move_to_end(list, (place.room * 2).max(2));
        }
        let place = &mut self.places[list as usize];
        self.pool[(place.start + place.len) as usize] = entry;
        place.len += 1;
    }

    /// Takes one entry of a list that `which` names away; those behind it keep their order.
    pub fn remove(&mut self, list: u32, which: impl Fn(u32) -> bool) {
        let place = &mut self.places[list as usize];
        let entries = &mut self.pool[place.start as usize..(place.start + place.len) as usize];
        if let Some(at) = entries.iter().position(|&entry| which(entry)) {
            entries.copy_within(at + 1.., at);
            place.len -= 1;
        }
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pool.capacity() * size_of::<u32>() + self.places.capacity() * size_of::<Place>()
    }

    /// Puts a list behind all others with so much room, its entries as they are.
    fn move_to_end(&mut self, list: u32, room: u32) {
        if self.waste > self.pool.len() / 2 + 1024 {
            self.tidy();
        }
        let place = &mut self.places[list as usize];
        let start = self.pool.len();
        self.waste += place.room as usize;
        self.pool.extend_from_within(place.start as usize..(place.start + place.len) as usize);
        (place.start, place.room) = (start as u32, room);
        self.pool.resize(start + room as usize, 0);
    }

    /// Puts all lists side by side, each with the room that it has.
    fn tidy(&mut self) {
        let mut pool = Vec::with_capacity(self.pool.len() - self.waste);
        for place in &mut self.places {
            let start = pool.len();
            pool.extend_from_slice(&self.pool[place.start as usize..(place.start + place.room) as usize]);
            place.start = start as u32;
        }
        (self.pool, self.waste) = (pool, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Add,
        Set(usize, Vec<u32>),
        Push(usize, u32),
        Remove(usize, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let list = 0usize..8;
        prop_oneof![
            Just(Step::Add),
            (list.clone(), prop::collection::vec(0u32..9, 0..400))
                .prop_map(|(list, all)| Step::Set(list, all)),
            (list.clone(), 0u32..9).prop_map(|(list, entry)| Step::Push(list, entry)),
            (list, 0u32..9).prop_map(|(list, entry)| Step::Remove(list, entry)),
        ]
    }

    proptest! {
        #[test]
        fn lists_are_those_of_a_vector_of_vectors(steps in prop::collection::vec(step(), 1..80)) {
            let (mut lists, mut model) = (Lists::default(), Vec::<Vec<u32>>::new());
            for step in steps {
                match step {
                    Step::Add => {
                        lists.add();
                        model.push(Vec::new());
                    }
                    Step::Set(list, all) if list < model.len() => {
                        lists.set(list as u32, &all);
                        model[list] = all;
                    }
                    Step::Push(list, entry) if list < model.len() => {
                        lists.push(list as u32, entry);
                        model[list].push(entry);
                    }
                    Step::Remove(list, entry) if list < model.len() => {
                        lists.remove(list as u32, |other| other == entry);
                        if let Some(at) = model[list].iter().position(|&other| other == entry) {
                            model[list].remove(at);
                        }
                    }
                    _ => {}
                }
                for (list, entries) in model.iter().enumerate() {
                    prop_assert_eq!(lists.get(list as u32), entries.as_slice());
                }
            }
        }
    }
}
