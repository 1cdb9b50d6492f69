//! Which of a sender's fields a receiver wants.
//!
//! Found out once for each pair of a sender's struct and a receiver's: a slice of a million empty
//! elements would else cost a million times the fields that the sender declared.

use crate::kinds::Field;

/// What was found out so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plans {
    wanted: Vec<Box<[u32]>>,
    // For each definition, by its number: the lists of names that it was looked up for. They are as
    // few as there are structs in the receiver's type.
    lookups: Vec<Vec<(Names, u32)>>,
}

/// The address and the length of a static list of names.
type Names = (usize, usize);

/// The number of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanNumber(u32);

impl Plans {
    /// The plan for the struct `number`, which has these fields, and a receiver who wants these
    /// names.
    pub(crate) fn plan(
        &mut self,
        number: u32,
        fields: &[Field],
        names: &'static [&'static str],
    ) -> PlanNumber {
        let index = number as usize;
        let key = (names.as_ptr().addr(), names.len());
        if let Some(lookups) = self.lookups.get(index)
            && let Some((_, plan)) = lookups.iter().find(|(names, _)| *names == key)
        {
            return PlanNumber(*plan);
        }
        let plan = u32::try_from(self.wanted.len()).unwrap_or(u32::MAX);
        let is_wanted = |(_, field): &(u32, &Field)| names.contains(&&*field.name);
        let wanted = (0..).zip(fields).filter(is_wanted).map(|(index, _)| index).collect();
        self.wanted.push(wanted);
        if self.lookups.len() <= index {
            self.lookups.resize_with(index.saturating_add(1), Vec::new);
        }
        if let Some(lookups) = self.lookups.get_mut(index) {
            lookups.push((key, plan));
        }
        PlanNumber(plan)
    }

    /// The indices of the fields that are wanted, in order.
    #[inline]
    pub(crate) fn wanted(&self, plan: PlanNumber) -> &[u32] {
        self.wanted.get(plan.0 as usize).map_or(&[], |wanted| wanted)
    }
}
